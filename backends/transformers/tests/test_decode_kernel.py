"""Decode by a kernel: which one is taken, and that a step of fixed shape equals a ragged one."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from enginebay_core.api import StepBatch, StepRow
from enginebay_transformers import decode_kernels, slot_choice
from enginebay_transformers.compiled_layers import compiled_layers
from enginebay_transformers.decode_graphs import StepInputs, bucket_sizes
from enginebay_transformers.slot_attention import NotForSlots, find_window
from enginebay_transformers.slot_cache import run_step

spec = importlib.util.spec_from_file_location(
    "plain_kernel", Path(__file__).with_name("plain_kernel.py")
)
assert spec is not None
assert spec.loader is not None
plain_kernel = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plain_kernel)

ARCHITECTURES = ["qwen3", "mistral", "gemma2", "gpt_oss", "gpt2"]
CPU = torch.device("cpu")


def offer(monkeypatch: pytest.MonkeyPatch, **kernels: Any) -> None:
    monkeypatch.setattr(slot_choice, "find_kernels", lambda *_: iter(kernels.items()))


@pytest.fixture
def with_kernel(lab: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """An engine with the plain kernel."""

    def open_engine(name: str) -> Any:
        offer(monkeypatch, plain=plain_kernel.attend)
        monkeypatch.setattr(slot_choice.Recipe, "wants_graphs", False)
        return lab.load(name, max_sequences=6)

    return open_engine


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_text_by_kernel(name: str, with_kernel: Callable[[str], Any], lab: Any) -> None:
    engine = with_kernel(name)
    assert engine.spec.facts["decode attention"] == "plain"
    slots, joins = (5, 0, 2), (0, 3, 7)
    jobs = [
        lab.job(prompt, slot=slot, joins=join, chunk=6)
        for prompt, slot, join in zip(lab.prompts, slots, joins, strict=True)
    ]
    assert lab.run(engine, jobs) == list(lab.reference(name).outputs)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The compiler's front half only: what it captures runs as it is. Any break is an error."""
    compile_whole = functools.partial(torch.compile, backend="eager", fullgraph=True)
    monkeypatch.setattr(torch, "compile", compile_whole)
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["mistral"])
@torch.inference_mode()
def test_a_filled_up_step_of_compiled_layers(
    name: str, with_kernel: Callable[[str], Any], lab: Any, traced: None
) -> None:
    engine = with_kernel(name)
    rows = [StepRow(slot, 0, prompt) for slot, prompt in zip((5, 0, 2), lab.prompts, strict=True)]
    engine.forward(StepBatch((), tuple(rows)))
    decode = [StepRow(row.slot, len(row.ids), (9,)) for row in rows if row.slot]
    expected = engine.forward(StepBatch((), tuple(decode)))
    layers = engine._cache.slot_layers
    parked = [layer.keys[0, :, :-1].clone() for layer in layers]
    inputs = StepInputs(6, engine._cache, CPU)
    inputs.fill(decode)
    with compiled_layers(engine._model.model, len(layers)):
        for size in (4, 2):
            step = inputs.step(size, engine._kernel, engine._cache)
            found = run_step(engine._model, engine._cache, step)
            assert found.shape[0] == size
            torch.testing.assert_close(found[:2], expected, atol=1e-4, rtol=1e-4)
    assert all(
        torch.equal(layer.keys[0, :, :-1], was) for layer, was in zip(layers, parked, strict=True)
    )
    assert all(layer.keys[0, :, -1].any() for layer in layers)  # the scratch entry


def test_a_kernel_that_fails_or_errs_gives_way(
    lab: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> torch.Tensor:
        raise RuntimeError("no such instruction")

    def err(query: torch.Tensor, *rest: Any) -> torch.Tensor:
        return -plain_kernel.attend(query, *rest)  # type: ignore[no-any-return]  # loaded by path

    monkeypatch.setattr(slot_choice.Recipe, "wants_graphs", False)
    offer(monkeypatch, broken=fail, wrong=err, plain=plain_kernel.attend)
    engine = lab.load("llama", max_sequences=2)
    assert engine.spec.facts["decode attention"] == "plain"
    assert "by broken does not work here: RuntimeError('no such instruction')" in caplog.text
    assert "by wrong does not work here: NotForSlots" in caplog.text
    offer(monkeypatch, wrong=err)
    assert "decode attention" not in lab.load("llama", max_sequences=2).spec.facts


def test_graphs_that_cannot_be_recorded_are_done_without(
    lab: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As here, where there is no CUDA."""
    if torch.cuda.is_available():
        pytest.skip("needs a machine without CUDA")
    offer(monkeypatch, plain=plain_kernel.attend)
    engine = lab.load("llama", max_sequences=2)
    assert "decode steps run without CUDA graphs" in caplog.text
    assert "graphs" not in engine.spec.facts
    assert lab.run(engine, [lab.job(lab.prompts[1])]) == [lab.reference("llama").outputs[1]]


def test_kernels_are_for_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"flash_attn", "triton"}
    monkeypatch.setattr(decode_kernels, "find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr(decode_kernels, "load_kernel", lambda module: module)

    def names(*devices: str, dtype: torch.dtype = torch.bfloat16) -> list[str]:
        return [name for name, _ in decode_kernels.find_kernels(devices, dtype)]

    assert names("cuda:0") == ["flash-attn", "triton"]
    assert names("cuda:0", dtype=torch.float32) == ["triton"]
    assert names("cpu") == names("cuda:0", "cpu") == []
    there.remove("flash_attn")
    assert names("cuda:0", "cuda:1") == ["triton"]


def test_batch_sizes_that_have_a_graph() -> None:
    assert bucket_sizes(1) == (1,)
    assert bucket_sizes(3) == (1, 2, 3)
    assert bucket_sizes(8) == (1, 2, 4, 8)
    assert bucket_sizes(32) == (1, 2, 4, 8, 16, 24, 32)
    assert bucket_sizes(33) == (1, 2, 4, 8, 16, 24, 32, 33)


def test_windows_are_found_by_what_they_show() -> None:
    def sliding(_b: Any, _h: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return (key <= query) & (key > query - 7)

    def causal(_b: Any, _h: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return key <= query

    def chunked(_b: Any, _h: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return (key <= query) & (key // 16 == query // 16)

    assert find_window(sliding, 100) == 7
    assert find_window(sliding, 5) == 0
    assert find_window(causal, 100) == 0
    with pytest.raises(NotForSlots, match="other keys than the latest"):
        find_window(chunked, 100)
