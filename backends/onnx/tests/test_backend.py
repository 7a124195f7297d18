"""The door: cheap to import, clear in its refusals, free of torch when it serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from enginebay_core.api import Backend, ModelError, StepEngine, step_capabilities
from enginebay_onnx import OnnxBackend, OnnxOptions

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: backends/onnx[cpu]")


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


def test_importing_imports_nothing_heavy() -> None:
    code = (
        "import sys, enginebay_onnx as e; e.OnnxBackend(); e.OnnxOptions(); e.OnnxExporter();"
        "print([m for m in ('onnxruntime', 'onnx', 'torch', 'transformers') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_serving_imports_no_torch_even_when_it_exports_first() -> None:
    code = (
        "import sys; from enginebay_onnx import OnnxBackend, OnnxOptions;"
        "from enginebay_core.plugins import resolve_model;"
        "stages = []; tell = lambda stage, *_: stages.append(stage);"
        "engine = OnnxBackend().load(resolve_model('pocket', tell), OnnxOptions(), tell);"
        "print([m for m in ('torch', 'transformers', 'optimum', 'onnx') if m in sys.modules]);"
        "print(engine.spec.facts['dtype'], stages[-1])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\nfloat32 opening the graph\n"


def test_it_is_a_backend(pocket: Path) -> None:
    backend: Backend[OnnxOptions] = OnnxBackend()
    engine = OnnxBackend().load(pocket, OnnxOptions(), quiet)
    assert isinstance(engine, StepEngine)
    assert backend.options is OnnxOptions
    assert backend.tokenizer == "huggingface"
    assert backend.capabilities(engine) == step_capabilities()
    assert engine.spec.max_length == 2048
    engine.close()


def test_every_option_is_described_and_unknown_ones_are_refused() -> None:
    fields = OnnxOptions.model_json_schema()["properties"]
    assert all(field.get("description") for field in fields.values())
    with pytest.raises(ValidationError, match="precison"):
        OnnxOptions.model_validate({"precison": "int8"})
    with pytest.raises(ValidationError, match="'cuda' runs fp16, and precision is 'int8'"):
        OnnxOptions(provider="cuda", precision="int8")


def test_more_than_the_models_positions_is_refused(pocket: Path) -> None:
    with pytest.raises(ModelError, match="max_length is 2049, and the model has 2048 positions"):
        OnnxBackend().load(pocket, OnnxOptions(max_length=2049), quiet)


def test_a_provider_that_is_not_there_is_refused_not_replaced(pocket: Path) -> None:
    from enginebay_onnx.session import make_session

    with pytest.raises(ModelError, match=r"lacks .it has .*CPUExecutionProvider.*onnxruntime-gpu"):
        make_session(b"", OnnxOptions(provider="cuda"))


def test_a_damaged_graph_is_named(tmp_path: Path) -> None:
    from enginebay_onnx.session import open_session

    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"cannot open .*model.onnx"):
        open_session(tmp_path / "model.onnx", OnnxOptions())
    with pytest.raises(ModelError, match=r"has no other.onnx"):
        open_session(tmp_path / "other.onnx", OnnxOptions())


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config.json"):
        OnnxBackend().load(tmp_path, OnnxOptions(), quiet)
