"""What only a CUDA device can show: ``pytest -m gpu backends/transformers/tests/gpu``."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enginebay_core.api import (
    CopyPrefix,
    NumpySampling,
    SampleRow,
    SamplingParams,
    StepBatch,
    StepRow,
)
from enginebay_transformers import TransformersBackend, TransformersOptions
from enginebay_transformers.slot_engine import SlotEngine
from enginebay_transformers.torch_sampling import sample_rows

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    pytest.mark.timeout(600),  # the first graphs of a process compile their kernels
]

DENSE = ["llama", "qwen3", "mistral", "gemma2", "gemma3", "gpt2"]
SPARSE = ["qwen3_moe", "mixtral", "gpt_oss"]
SLOTS = 20
VOCAB = 151_936


@dataclass(frozen=True)
class Device:
    """Opens engines on CUDA, each once."""

    open: Callable[..., Any]


@pytest.fixture(scope="module")
def device(checkpoint: Callable[[str], Path]) -> Iterator[Device]:
    engines: dict[tuple[Any, ...], Any] = {}

    def open_engine(name: str, **options: Any) -> Any:
        key = (name, *sorted(options.items()))
        if key not in engines:
            chosen = {"device": "cuda", "dtype": "float32", "max_sequences": SLOTS, **options}
            settings = TransformersOptions(**chosen)
            engines[key] = TransformersBackend().load(checkpoint(name), settings, lambda *_: None)
        return engines[key]

    yield Device(open_engine)
    for engine in engines.values():
        engine.close()


@pytest.fixture(autouse=True, scope="module")
def exact_products() -> Iterator[None]:
    """TF32 has ten bits of mantissa; parity is one of float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("name", [*DENSE, *SPARSE])
def test_greedy_text_is_that_of_generate(name: str, device: Device, lab: Any) -> None:
    engine = device.open(name)
    assert isinstance(engine, SlotEngine)
    expected = lab.reference(name).outputs
    alone = [lab.run(engine, [lab.job(prompt)])[0] for prompt in lab.prompts]
    assert tuple(alone) == expected
    slots, joins = (5, 0, 2), (0, 3, 7)
    jobs = [
        lab.job(prompt, slot=slot, joins=join, chunk=4 + slot)
        for prompt, slot, join in zip(lab.prompts, slots, joins, strict=True)
    ]
    copied = lab.job(
        lab.prompts[2], slot=4, joins=40, cached=13, operations=(CopyPrefix(2, 4, 13),)
    )
    assert lab.run(engine, [*jobs, copied]) == [*expected, expected[2]]


@pytest.mark.parametrize("name", DENSE)
def test_a_dense_model_decodes_by_kernel_and_graphs(name: str, device: Device) -> None:
    facts = device.open(name).spec.facts
    assert facts["decode attention"] == "triton"
    assert facts["graphs"] == "1 2 4 8 16 20"


def decode_batch(engine: Any, count: int) -> StepBatch:
    """Rows of lengths from 3 to 60 over scattered slots, their prompts run."""
    rng = random.Random(count)
    slots = rng.sample(range(SLOTS), count)
    lengths = [rng.randrange(3, 60) for _ in slots]
    rows = [
        StepRow(slot, 0, tuple(rng.randrange(256) for _ in range(length)))
        for slot, length in zip(slots, lengths, strict=True)
    ]
    engine.forward(StepBatch((), tuple(rows)))
    return StepBatch((), tuple(StepRow(row.slot, len(row.ids), (7,)) for row in rows))


@pytest.mark.parametrize("name", ["qwen3", "mistral", "gemma2", "gpt2"])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 20])
def test_graphs_equal_eager_steps(name: str, count: int, device: Device) -> None:
    graphs, eager = device.open(name), device.open(name, cuda_graphs=False)
    assert "graphs" not in eager.spec.facts
    batch = decode_batch(graphs, count)
    assert decode_batch(eager, count) == batch
    assert graphs._graphs.serve(batch.rows)
    found, expected = graphs.forward(batch), eager.forward(batch)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_rows_that_fill_up_leave_parked_sequences_alone(count: int, device: Device) -> None:
    engine = device.open("qwen3")
    engine.forward(StepBatch((), tuple(StepRow(s, 0, (1, 2, 3, 4)) for s in range(SLOTS))))
    layers = engine._cache.slot_layers
    before = [(layer.keys.clone(), layer.values.clone()) for layer in layers]
    rows = tuple(StepRow(SLOTS - 1 - i, 4, (9,)) for i in range(count))
    assert engine._graphs.serve(rows)
    engine.forward(StepBatch((), rows))
    for layer, (keys, values) in zip(layers, before, strict=True):
        assert torch.equal(layer.keys[: SLOTS - count, :, :-1], keys[: SLOTS - count, :, :-1])
        assert torch.equal(layer.values[: SLOTS - count, :, :-1], values[: SLOTS - count, :, :-1])
        assert not torch.equal(layer.keys[SLOTS - 1, :, 4], keys[SLOTS - 1, :, 4])


def test_logits_outlive_the_next_step(device: Device) -> None:
    engine = device.open("qwen3")
    batch = decode_batch(engine, 4)
    first = engine.forward(batch)
    kept = first.clone()
    engine.forward(StepBatch((), tuple(StepRow(r.slot, r.start + 1, (11,)) for r in batch.rows)))
    assert torch.equal(first, kept)


def test_bfloat16_stays_near(device: Device, lab: Any) -> None:
    engine = device.open("qwen3", dtype="bfloat16")
    job = lab.job(lab.prompts[2])
    lab.run(engine, [job])
    expected = lab.reference("qwen3").logits[2][0]
    assert (job.logits[0].float().cpu() - expected).abs().max() < 0.1 * expected.std()


def some_row(rng: random.Random, index: int) -> dict[str, Any]:
    def maybe(value: Any, off: Any) -> Any:
        return value if rng.random() < 0.4 else off

    params = SamplingParams(
        temperature=maybe(0, rng.uniform(0.1, 2)),
        top_k=maybe(rng.choice([1, 40, 300, VOCAB]), 0),
        top_p=maybe(rng.choice([0.1, 0.9, 0.999]), 1.0),
        min_p=maybe(0.05, 0.0),
        presence_penalty=maybe(rng.uniform(-2, 2), 0.0),
        frequency_penalty=maybe(rng.uniform(-2, 2), 0.0),
        repetition_penalty=maybe(rng.uniform(0.5, 2), 1.0),
        logit_bias=maybe({rng.randrange(VOCAB): rng.uniform(-9, 9) for _ in range(5)}, {}),
        seed=rng.randrange(2**63),
        logprobs=maybe(rng.choice([0, 5, 20]), None),
    )
    ids = [rng.randrange(VOCAB) for _ in range(40)]
    words = np.array([rng.getrandbits(32) for _ in range((VOCAB + 31) // 32)], dtype=np.uint32)
    mask = words.view(np.int32) if rng.random() < 0.2 else None
    return {"index": index, "params": params, "prompt": ids[:20], "output": ids[20:], "mask": mask}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_sampler_on_the_device_is_the_reference(dtype: torch.dtype) -> None:
    rng = random.Random(4)
    generator = torch.Generator().manual_seed(3)
    for _ in range(10):
        logits = (torch.randn(16, VOCAB, generator=generator) * 3).to(dtype)
        rows = [some_row(rng, index) for index in rng.sample(range(16), 12)]
        expected = NumpySampling().sample(logits.float().numpy(), [SampleRow(**r) for r in rows])
        found = sample_rows(logits.cuda(), [SampleRow(**row) for row in rows])
        assert [each.id for each in found] == [each.id for each in expected]
        for ours, theirs in zip(found, expected, strict=True):
            assert [top.id for top in ours.top] == [top.id for top in theirs.top]
            assert (ours.logprob or 0) == pytest.approx(theirs.logprob or 0, rel=1e-9)


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=0),
        SamplingParams(seed=1),
        SamplingParams(top_p=0.9, top_k=40, min_p=0.05, seed=1, logprobs=5),
    ],
)
def test_sampling_waits_for_the_device_once(params: SamplingParams) -> None:
    logits = torch.randn(8, VOCAB, device="cuda") * 3
    rows = [SampleRow(index, params, (), ()) for index in range(8)]
    sample_rows(logits, rows)
    with torch.profiler.profile() as profile:
        sample_rows(logits, rows)
    names = [event.name for event in profile.events()]
    copies = sum(name == "cudaStreamSynchronize" for name in names)
    assert copies == 1
    assert "cudaDeviceSynchronize" not in names[:-1]  # the profiler's own is the last


def test_a_model_that_cannot_be_recorded_runs_without(
    checkpoint: Callable[[str], Path],
    lab: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("enginebay_transformers.decode_graphs.record_step", refuse)
    settings = TransformersOptions(device="cuda", dtype="float32")
    with caplog.at_level(logging.WARNING, "enginebay_transformers"):
        engine: Any = TransformersBackend().load(checkpoint("qwen3"), settings, lambda *_: None)
    assert "decode steps run without CUDA graphs" in caplog.text
    job = lab.job(lab.prompts[0])
    assert lab.run(engine, [job]) == [lab.reference("qwen3").outputs[0]]
    engine.close()
