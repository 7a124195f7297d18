"""The reference sampler, rule by rule, against answers worked out by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from enginebay_core.api import (
    NumpySampling,
    RequestError,
    SamplerMemory,
    SampleRow,
    SamplingParams,
    gumbel,
    noise_key,
    sample_row,
)
from enginebay_core.api.highest import keep_top_k
from enginebay_core.api.numpy_sampling import adjust, keep_top_p, survivors

Floats = npt.NDArray[np.float32]
LOGITS = np.array([1.0, 4.0, -2.0, 3.0, 3.0, 0.0], dtype=np.float32)


def row(prompt: Sequence[int] = (), output: Sequence[int] = (), **fields: Any) -> SampleRow:
    extra = {key: fields.pop(key) for key in ("choice", "banned", "mask") if key in fields}
    return SampleRow(0, SamplingParams(**{"seed": 0, **fields}), prompt, output, **extra)


def kept(logits: Floats, **fields: Any) -> list[int]:
    return [int(token) for token in survivors(logits, SamplingParams(**fields))[0]]


def test_greedy_takes_the_best_and_the_lowest_of_equals() -> None:
    assert sample_row(LOGITS, row(temperature=0)).id == 1
    level = np.array([0.0, 5.0, 5.0, 5.0], dtype=np.float32)
    assert sample_row(level, row(temperature=0)).id == 1


def test_logits_are_left_as_they_were() -> None:
    before = LOGITS.copy()
    sample_row(LOGITS, row((1,), (3,), frequency_penalty=1.0, logit_bias={1: -100.0}))
    assert LOGITS.tolist() == before.tolist()


def test_no_rule_costs_no_copy() -> None:
    assert adjust(LOGITS, row()) is LOGITS


def test_repetition_penalty_counts_prompt_and_output() -> None:
    adjusted = adjust(LOGITS, row((1, 2), (3, 3), repetition_penalty=2.0))
    assert adjusted.tolist() == [1.0, 2.0, -4.0, 1.5, 3.0, 0.0]


def test_frequency_and_presence_count_the_output_alone() -> None:
    adjusted = adjust(LOGITS, row((1,), (3, 3, 0), frequency_penalty=0.5))
    assert adjusted.tolist() == [0.5, 4.0, -2.0, 2.0, 3.0, 0.0]
    adjusted = adjust(LOGITS, row((1,), (3, 3, 0), presence_penalty=0.5))
    assert adjusted.tolist() == [0.5, 4.0, -2.0, 2.5, 3.0, 0.0]


def test_counts_grow_with_the_output_and_are_not_rebuilt() -> None:
    output = [3]
    memory = SamplerMemory()
    params = SamplingParams(frequency_penalty=1.0, seed=0)
    adjust(LOGITS, SampleRow(0, params, (), output, memory=memory))
    first = memory.kept
    output.append(3)
    adjusted = adjust(LOGITS, SampleRow(0, params, (), output, memory=memory))
    assert memory.kept is first
    assert adjusted[3] == 1.0


def test_bias_is_added_and_minus_100_bans() -> None:
    assert adjust(LOGITS, row(logit_bias={2: 1.5}))[2] == -0.5
    assert sample_row(LOGITS, row(temperature=0, logit_bias={1: -100.0})).id == 3


def test_banned_ids_and_masked_ids_cannot_be_chosen() -> None:
    assert sample_row(LOGITS, row(temperature=0, banned=frozenset({1, 3}))).id == 4
    mask = np.array([0b101001], dtype=np.int32)  # ids 0, 3 and 5
    assert sample_row(LOGITS, row(temperature=0, mask=mask)).id == 3
    allowed = {sample_row(LOGITS, row(temperature=50, seed=s, mask=mask)).id for s in range(200)}
    assert allowed == {0, 3, 5}


@pytest.mark.parametrize("share", [0.0005, 0.02, 0.5, 0.999])
@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0},
        {"temperature": 1.3},
        {"temperature": 0.7, "top_k": 5},
        {"temperature": 1, "top_p": 0.8, "min_p": 0.01},
    ],
)
def test_a_mask_alone_is_read_as_it_is_beside_other_rules(share: float, fields: Any) -> None:
    """Where it leaves few ids, or the best of all, not all of them are looked at. An id that is
    banned besides takes the long way.
    """
    draw = np.random.default_rng(4)
    for seed in range(20):
        logits = draw.normal(size=40_001).astype(np.float32).round(1)  # with equals among them
        flags = draw.random(40_032) < share
        flags[[7, 40_000]] = True
        flags[9] = False
        mask = np.packbits(flags, bitorder="little").view(np.int32)
        short = row(mask=mask, **{**fields, "seed": seed})
        long = row(mask=mask, banned=frozenset({9}), **{**fields, "seed": seed})
        assert sample_row(logits, short) == sample_row(logits, long)


def test_top_k_keeps_exactly_k_and_breaks_ties_low() -> None:
    assert kept(LOGITS, top_k=2) == [1, 3]
    assert kept(LOGITS, top_k=3) == [1, 3, 4]
    assert kept(LOGITS, top_k=99) == [0, 1, 2, 3, 4, 5]


def test_top_p_keeps_the_id_that_crosses() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05])).astype(np.float32)
    assert kept(logits, top_p=0.45) == [0]
    assert kept(logits, top_p=0.55) == [0, 1]
    assert kept(logits, top_p=0.81) == [0, 1, 2]
    assert kept(logits, top_p=1e-9) == [0]


def test_top_p_counts_within_what_top_k_left() -> None:
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1])).astype(np.float32)
    assert kept(logits, top_k=2, top_p=0.5) == [0]


def test_top_p_is_right_beyond_its_short_cut() -> None:
    flat = np.random.default_rng(0).normal(0, 0.01, 5000).astype(np.float32)
    weights = np.exp(flat.astype(np.float64))
    order = np.argsort(-flat, kind="stable")
    count = int(np.searchsorted(np.cumsum(weights[order]), 0.9 * weights.sum())) + 1
    assert keep_top_p(flat.astype(np.float64), 0.9).tolist() == sorted(order[:count].tolist())


def test_min_p_compares_with_the_best_after_temperature() -> None:
    logits = np.log(np.array([0.5, 0.26, 0.24])).astype(np.float32)
    assert kept(logits, min_p=0.5) == [0, 1]
    assert kept(logits, min_p=0.5, temperature=2.0) == [0, 1, 2]


def test_a_temperature_near_zero_is_greedy() -> None:
    for temperature in (1e-6, 1e-300, 5e-324):
        assert sample_row(LOGITS, row(temperature=temperature)).id == 1


def test_temperature_scales_before_the_noise() -> None:
    key = noise_key(5, 0, 2)
    scores = LOGITS.astype(np.float64) / 0.7 + gumbel(key, np.arange(6))
    chosen = sample_row(LOGITS, row(output=(0, 0), temperature=0.7, seed=5))
    assert chosen.id == int(scores.argmax())


def test_noise_of_survivors_does_not_depend_on_who_else_survived() -> None:
    for seed in range(50):
        free = sample_row(LOGITS, row(seed=seed)).id
        if free in (1, 3, 4):
            assert sample_row(LOGITS, row(seed=seed, top_k=3)).id == free


def test_logprobs_are_of_the_unmodified_distribution() -> None:
    wanted = LOGITS - np.log(np.exp(LOGITS.astype(np.float64)).sum())
    sampled = sample_row(LOGITS, row(temperature=0, logit_bias={1: -100.0}, logprobs=3, top_p=0.5))
    assert sampled.id == 3
    assert sampled.logprob == pytest.approx(wanted[3])
    assert [entry.id for entry in sampled.top] == [1, 3, 4]
    assert [entry.logprob for entry in sampled.top] == pytest.approx(wanted[[1, 3, 4]])


def test_logprobs_zero_gives_the_chosen_alone() -> None:
    sampled = sample_row(LOGITS, row(temperature=0, logprobs=0))
    assert sampled.logprob is not None
    assert sampled.top == ()


def test_each_row_reads_its_own_logits() -> None:
    logits = np.eye(4, dtype=np.float32)
    rows = [SampleRow(i, SamplingParams(temperature=0, seed=0), (), ()) for i in (2, 0)]
    assert [sampled.id for sampled in NumpySampling().sample(logits, rows)] == [2, 0]


def test_keep_top_k_is_sorted() -> None:
    assert keep_top_k(np.array([3.0, 1.0, 2.0]), 2).tolist() == [0, 2]


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("size", [1, 7, 64, 1000, 20_011])
def test_keep_top_k_is_what_sorting_gives(size: int, spread: float) -> None:
    """Whole numbers, so that many are equal; the highest in one place, as far as they go."""
    values = np.round(np.random.default_rng(size).normal(0, spread, size)).astype(np.float32)
    values[: size // 3] = np.sort(values[: size // 3])
    order = np.argsort(-values, kind="stable")
    for count in {1, min(2, size), max(1, size // 7), size}:
        assert keep_top_k(values, count).tolist() == sorted(order[:count].tolist())


def test_penalties_count_each_id_once_however_long_the_output() -> None:
    draw = np.random.default_rng(5)
    logits = draw.normal(0, 3, 500).astype(np.float32)
    prompt, said = draw.integers(0, 500, 20).tolist(), draw.integers(0, 500, 300).tolist()
    params = SamplingParams(
        repetition_penalty=1.3, frequency_penalty=0.25, presence_penalty=0.5, seed=0
    )
    memory, output = SamplerMemory(), list[int]()
    for token in said:
        output.append(token)
        grown = adjust(logits, SampleRow(0, params, prompt, output, memory=memory))
    counts = np.bincount(said, minlength=500)
    wanted = logits.copy()
    seen = np.union1d(prompt, said)
    wanted[seen] = np.where(wanted[seen] > 0, wanted[seen] / np.float32(1.3), wanted[seen] * 1.3)
    wanted -= (0.25 * counts + 0.5 * (counts > 0)).astype(np.float32)
    assert grown == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    "fields", [{}, {"top_k": 5}, {"top_p": 0.9}, {"min_p": 0.1}, {"temperature": 0}]
)
@pytest.mark.parametrize("vocabulary", [40, 3000, 90_000])
def test_a_row_of_no_numbers_takes_no_other_with_it(
    vocabulary: int, fields: dict[str, Any]
) -> None:
    """As where one sequence overflows: its ids mean nothing, its neighbours' are theirs."""
    logits = np.random.default_rng(3).normal(0, 3, (3, vocabulary)).astype(np.float32)
    logits[1] = np.nan
    logits[1, :9] = -np.inf
    rows = [SampleRow(i, SamplingParams(**{"seed": 4, **fields}), (1,), ()) for i in range(3)]
    first, spoilt, last = NumpySampling().sample(logits, rows)
    assert [first, last] == [sample_row(logits[i], rows[i]) for i in (0, 2)]
    assert 0 <= spoilt.id < vocabulary


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("top_p", 0.0),
        ("top_p", 1.01),
        ("top_k", -1),
        ("min_p", 1.5),
        ("presence_penalty", 2.5),
        ("frequency_penalty", -2.5),
        ("repetition_penalty", 0.0),
        ("seed", 2**63),
        ("logprobs", -1),
    ],
)
def test_values_out_of_range_name_their_field(field: str, value: float) -> None:
    with pytest.raises(RequestError, match=field) as raised:
        SamplingParams(**{field: value})  # type: ignore[arg-type]  # bad values are the point
    assert raised.value.param == field


def test_bias_out_of_range_names_the_id() -> None:
    with pytest.raises(RequestError, match=r"logit_bias\[7\]"):
        SamplingParams(logit_bias={7: 101.0})


@pytest.mark.parametrize("vocabulary", [40, 3000, 90_000])
def test_a_batch_gives_each_row_what_it_gets_alone(vocabulary: int) -> None:
    logits = np.random.default_rng(3).normal(0, 3, (12, vocabulary)).astype(np.float32)
    logits[4] = 1.0  # all equal
    kinds: list[dict[str, Any]] = [
        {"temperature": 0},
        {"temperature": 1},
        {"temperature": 0.01},
        {"temperature": 0.8, "top_p": 0.9},
        {"temperature": 1, "presence_penalty": 1},
        {"temperature": 1, "logprobs": 2},
    ]
    rows = [
        SampleRow(11 - place, SamplingParams(seed=place, **kinds[place % 6]), (1, 2), (3,) * place)
        for place in range(12)
    ]
    together = NumpySampling().sample(logits, rows)
    assert together == [sample_row(logits[row.index], row) for row in rows]
    assert len({sampled.id for sampled in together}) > 6
