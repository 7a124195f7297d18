"""The torch sampler chooses what the numpy sampler chooses, and leaves the same logprobs."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from enginebay_core.api import (
    NumpySampling,
    Sampled,
    SampleRow,
    SamplingParams,
    gumbel,
    noise_key,
)
from enginebay_transformers import torch_draw
from enginebay_transformers.torch_sampling import TorchSampling, sample_rows

VOCAB = 1000


def both(logits: torch.Tensor, rows: list[dict[str, Any]]) -> tuple[list[Sampled], list[Sampled]]:
    """Choose by each sampler, with memories of their own."""
    expected = NumpySampling().sample(logits.float().numpy(), [SampleRow(**row) for row in rows])
    return expected, sample_rows(logits, [SampleRow(**row) for row in rows])


def assert_equal(expected: list[Sampled], found: list[Sampled]) -> None:
    assert [each.id for each in found] == [each.id for each in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert [top.id for top in ours.top] == [top.id for top in theirs.top]
        assert (ours.logprob is None) == (theirs.logprob is None)
        assert (ours.logprob or 0) == pytest.approx(theirs.logprob or 0, rel=1e-12)
        for one, other in zip(ours.top, theirs.top, strict=True):
            assert one.logprob == pytest.approx(other.logprob, rel=1e-12)


def some_params(rng: random.Random) -> SamplingParams:
    def maybe(value: Any, off: Any) -> Any:
        return value if rng.random() < 0.4 else off

    return SamplingParams(
        temperature=maybe(0, rng.uniform(0.1, 3)),
        top_k=maybe(rng.choice([1, 2, 17, 300, VOCAB, 5000]), 0),
        top_p=maybe(rng.choice([1e-6, 0.1, 0.5, 0.9, 0.999]), 1.0),
        min_p=maybe(rng.choice([0.001, 0.05, 1.0]), 0.0),
        presence_penalty=maybe(rng.uniform(-2, 2), 0.0),
        frequency_penalty=maybe(rng.uniform(-2, 2), 0.0),
        repetition_penalty=maybe(rng.uniform(0.5, 2), 1.0),
        logit_bias=maybe({rng.randrange(VOCAB): rng.uniform(-100, 100) for _ in range(5)}, {}),
        seed=rng.randrange(-(2**63), 2**63),
        logprobs=maybe(rng.choice([0, 1, 20]), None),
    )


def some_row(rng: random.Random, index: int) -> dict[str, Any]:
    ids = [rng.randrange(VOCAB) for _ in range(40)]
    mask = np.array([rng.getrandbits(32) for _ in range((VOCAB + 31) // 32)], dtype=np.uint32)
    return {
        "index": index,
        "params": some_params(rng),
        "prompt": ids[:20],
        "output": ids[: rng.randrange(40)],
        "choice": rng.randrange(4),
        "banned": frozenset(ids[:3]) if rng.random() < 0.3 else frozenset(),
        "mask": mask.view(np.int32) if rng.random() < 0.3 else None,
    }


@pytest.mark.parametrize("spread", ["smooth", "ties", "flat", "bfloat16"])
def test_equal_over_random_rows(spread: str) -> None:
    rng = random.Random(spread)
    generator = torch.Generator().manual_seed(3)
    for _ in range(25):
        logits = torch.randn(8, VOCAB, generator=generator) * 3
        if spread == "ties":
            logits = logits.round()
        if spread == "flat":
            logits = logits * 0
        if spread == "bfloat16":
            logits = logits.bfloat16()
        before = logits.clone()
        rows = [some_row(rng, index) for index in rng.sample(range(8), 8)]
        assert_equal(*both(logits, rows))
        assert torch.equal(before, logits)


def test_equal_where_few_scores_do_not_reach_top_p() -> None:
    logits = torch.randn(4, 4 * torch_draw.FEW, generator=torch.Generator().manual_seed(1)) / 9
    for seed in range(40):
        params = SamplingParams(top_p=0.9, seed=seed)
        rows = [
            {"index": i, "params": params, "prompt": (), "output": (), "choice": i}
            for i in range(4)
        ]
        assert_equal(*both(logits, rows))


def test_counts_grow_with_the_output() -> None:
    logits = torch.zeros(1, 6)
    params = SamplingParams(temperature=0, frequency_penalty=1.5, presence_penalty=0.25)
    output: list[int] = []
    numpy_row = SampleRow(0, params, (5,), output)
    torch_row = SampleRow(0, params, (5,), output)
    for _ in range(20):
        (expected,) = NumpySampling().sample(logits.numpy(), [numpy_row])
        (found,) = sample_rows(logits, [torch_row])
        assert found == expected
        output.append(found.id)
    assert set(output) == set(range(6))


def test_rows_without_a_choice_of_their_own_stay_out() -> None:
    logits = torch.tensor([[0.0, 9.0, 1.0], [5.0, 0.0, 0.0], [0.0, 0.0, 7.0]])
    greedy = SamplingParams(temperature=0)
    rows = [SampleRow(2, greedy, (), ()), SampleRow(0, greedy, (), ())]
    assert [each.id for each in sample_rows(logits, rows)] == [2, 1]
    assert TorchSampling().sample(logits, rows) == sample_rows(logits, rows)


def test_noise_is_core_noise_bit_for_bit() -> None:
    ids = np.arange(5000, dtype=np.int64)
    for number in range(20):
        key = noise_key(number * 7919 - 5, number, 3 * number)
        keys = torch.tensor([key]).expand(len(ids), 2)
        ours = torch_draw.gumbel(keys, torch.from_numpy(ids)).numpy()
        np.testing.assert_allclose(ours, gumbel(key, ids), rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("shift", [0.0, -50.0])
def test_greedy_takes_the_first_highest(dtype: torch.dtype, shift: float) -> None:
    logits = (torch.randn(6, VOCAB, generator=torch.Generator().manual_seed(5)) + shift).to(dtype)
    logits[:, 700] = logits[:, 300] = logits.max(dim=1).values
    logits[2] = logits[2].clamp(max=0)
    greedy = SamplingParams(temperature=0)
    for order in (range(6), (4, 1)):
        rows = [SampleRow(index, greedy, (), ()) for index in order]
        expected = NumpySampling().sample(logits.float().numpy(), rows)
        assert TorchSampling().sample(logits, rows) == expected
        assert sample_rows(logits, rows) == expected
