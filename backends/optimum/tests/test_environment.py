"""In the environment: the contract, exports of checkpoints that Transformers 5 saved, the gate."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import GenerationRequest, ModelError, SamplingParams
from enginebay_core.config import ModelConfig
from enginebay_core.placement import RunningModel, open_model

pytestmark = [pytest.mark.environments, pytest.mark.timeout(900), pytest.mark.usefixtures("python")]

PROMPTS = [tuple(7 * i % 251 for i in range(1, count)) for count in (3, 20, 60)]


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


@contextmanager
def opened(backend: str, model: Path, **options: Any) -> Iterator[RunningModel]:
    config = ModelConfig(backend=backend, model=str(model), options=options, placement="process")
    running = open_model("tiny", config.model_copy(update={"tokenizer": "bytes"}), quiet)
    try:
        yield running
    finally:
        running.close()


def greedy(running: RunningModel) -> list[list[int]]:
    async def one(prompt: tuple[int, ...]) -> list[int]:
        request = GenerationRequest(prompt, 24, SamplingParams(temperature=0, seed=0))
        async with aclosing(running.generator.generate(request)) as steps:
            return [token async for step in steps for token in step.ids]

    async def together() -> list[list[int]]:
        return list(await asyncio.gather(*map(one, PROMPTS)))

    return asyncio.run(together())


def test_every_claim_is_proved(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "enginebay_server", "plugins", "check", "optimum"]
    command += ["--option", "threads=1", "--report", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(report.read_text())
    assert {check["placement"] for check in said["checks"]} == {"inline", "process"}


@pytest.mark.parametrize("kind", ["Qwen3Config", "LlamaConfig", "MistralConfig"])
@pytest.mark.parametrize("engine", ["onnxruntime", "torch"])
def test_it_answers_as_transformers_5_does(
    kind: str, engine: str, save: Callable[..., Path]
) -> None:
    """Through the conversion: a base of a million, and heads of a width of their own."""
    model = save(kind)
    with opened("optimum", model, threads=1, engine=engine) as running:
        assert running.generator.limits.facts["engine"] == engine
        said = greedy(running)
    with opened("transformers", model, device="cpu", dtype="float32") as running:
        assert said == greedy(running)
    assert len(set(said[1])) >= 8, "a text of one repeated id shows no fault"


def test_an_unknown_key_is_refused(save: Callable[..., Path]) -> None:
    model = save()
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "attention_sinks": 4}))
    with pytest.raises(ModelError, match=r"attention_sinks = 4, which Transformers 4\.57 does"):
        opened("optimum", model).__enter__()


PLANT = """
import sys
from pathlib import Path
from enginebay_core.export import export_model
from enginebay_core.export.gate import GateClosed
from enginebay_optimum import downgrade, exporter, torch_model
{fault}
try:
    export_model(Path(sys.argv[1]), "optimum", Path(sys.argv[2]), lambda *_: None)
except GateClosed as closed:
    print("closed:", closed)
"""

LOST_BASE = """
honest = downgrade.translate
def lossy(config, known):
    converted = honest(config, known)
    converted.pop("rope_theta", None)
    return converted
downgrade.translate = lossy
"""

DROPPED_MASK = """
import onnx
honest = exporter.trace
def maskless(loaded, out):
    honest(loaded, out)
    graph = onnx.load(out / "model.onnx")
    for node in graph.graph.node:
        named = ["all_ones" if name == "attention_mask" else name for name in node.input]
        del node.input[:]
        node.input.extend(named)
    one = onnx.helper.make_tensor("one", onnx.TensorProto.INT64, [1], [1])
    make = onnx.helper.make_node
    graph.graph.node.insert(0, make("ConstantOfShape", ["mask_shape"], ["all_ones"], value=one))
    graph.graph.node.insert(0, make("Shape", ["attention_mask"], ["mask_shape"]))
    onnx.save(graph, out / "model.onnx")
exporter.trace = maskless
"""


@pytest.mark.parametrize(
    ("fault", "case"), [(LOST_BASE, "alone"), (DROPPED_MASK, "ragged batch")], ids=["base", "mask"]
)
def test_what_a_conversion_loses_closes_the_gate(
    fault: str, case: str, python: str, save: Callable[..., Path], tmp_path: Path
) -> None:
    """The numpy engine reads the checkpoint by itself, so it sees what the conversion loses."""
    code = PLANT.format(fault=fault)
    command = [python, "-I", "-c", code, str(save()), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "closed: the export does not compute what its checkpoint computes" in done.stdout, done
    assert f"in the case '{case}'" in done.stdout
    assert not (tmp_path / "out").exists()
