"""The door: cheap to import, clear in its refusals, free of torch when it serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from enginebay_core.api import Backend, Generator, ModelError, Support
from enginebay_openvino import OpenVinoBackend, OpenVinoOptions

pytest.importorskip(
    "openvino_genai", reason="OpenVINO GenAI is not installed: backends/openvino[runtime]"
)


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


def said_by(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_importing_imports_nothing_heavy() -> None:
    code = (
        "import sys, enginebay_openvino as e; e.OpenVinoBackend(); e.OpenVinoExporter();"
        "print([m for m in ('openvino', 'openvino_genai', 'torch') if m in sys.modules])"
    )
    assert said_by(code) == "[]\n"


def test_serving_imports_no_torch_even_when_it_exports_first() -> None:
    code = (
        "import sys; from enginebay_openvino import OpenVinoBackend, OpenVinoOptions;"
        "from enginebay_core.plugins import resolve_model;"
        "tell = lambda *_: None;"
        "made = OpenVinoBackend().load(resolve_model('pocket', tell), OpenVinoOptions(), tell);"
        "print([m for m in ('torch', 'transformers', 'optimum') if m in sys.modules]);"
        "print(made.limits.facts['precision'], made.limits.facts['kv_precision']); made.close()"
    )
    assert said_by(code) == "[]\nf32 f32\n"


def test_it_is_a_backend(pocket: Path) -> None:
    backend: Backend[OpenVinoOptions] = OpenVinoBackend()
    options = OpenVinoOptions(threads=1, max_sequences=3, max_length=100)
    made: Generator = OpenVinoBackend().load(pocket, options, quiet)
    assert (made.limits.context_length, made.limits.sequences) == (100, 3)
    claims = backend.capabilities(made)
    assert claims.of("logit_bias").support is Support.REFUSED
    assert "openvino-genai" in str(claims.of("logit_bias").reason)
    made.close()
    made.close()


def test_every_option_is_described_and_unknown_ones_are_refused() -> None:
    fields = OpenVinoOptions.model_json_schema()["properties"]
    assert all(field.get("description") for field in fields.values())
    with pytest.raises(ValidationError, match="precison"):
        OpenVinoOptions.model_validate({"precison": "int8"})


def test_more_than_the_models_positions_is_refused(pocket: Path) -> None:
    with pytest.raises(ModelError, match="max_length is 2049, and the model has positions of 2048"):
        OpenVinoBackend().load(pocket, OpenVinoOptions(max_length=2049), quiet)


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config.json"):
        OpenVinoBackend().load(tmp_path, OpenVinoOptions(), quiet)
