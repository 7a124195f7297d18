"""The reference sampler as judge of an engine's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from enginebay_core.api import Sampled, SamplerMemory, SampleRow, SamplingParams, sample_row
from enginebay_core.compare.tolerance import Floats
from enginebay_core.testing.arrays import to_numpy
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.equality import scores
from enginebay_core.testing.expect import expect
from enginebay_core.testing.recorder import frozen

ROWS: Final = 48
ROUNDING: Final = 1e-4
"""A sampler in float32 may differ from the reference, which computes in float64, by this much."""


def expect_reference(logits: Floats, row: SampleRow, got: Sampled, what: str) -> None:
    """``got`` is what the reference takes from the same logits, shape (vocabulary,)."""
    __tracebackhide__ = True
    expected = sample_row(logits, frozen(row))
    if got.id != expected.id:
        values = scores(logits, frozen(row)).astype(np.float64)
        gap = values[expected.id] - values[got.id]
        said = f"{what}: chose id {got.id}, the reference chooses {expected.id}"
        dropped = " (an id that the rules drop)" if not np.isfinite(gap) else ""
        ties = row.params.temperature == 0 and gap == 0
        expect(not ties and gap < ROUNDING * max(1.0, abs(values[expected.id])), said + dropped)
    expect_logprobs(got, sample_row(logits, frozen(row)), what)


def expect_logprobs(got: Sampled, expected: Sampled, what: str) -> None:
    __tracebackhide__ = True
    if expected.logprob is None:
        expect(got.logprob is None and not got.top, f"{what}: logprobs came that nobody asked for")
        return
    own = got.logprob is not None
    expect(own and len(got.top) == len(expected.top), f"{what}: {len(got.top)} top logprobs came")
    for entry, wanted in zip(got.top, expected.top, strict=True):
        near = abs(entry.logprob - wanted.logprob) < ROUNDING * 10
        expect(near, f"{what}: top logprob {entry!r}, the reference has {wanted!r}")
    if got.id == expected.id and got.logprob is not None:
        near = abs(got.logprob - expected.logprob) < ROUNDING * 10
        expect(near, f"{what}: logprob {got.logprob:.5f}, the reference has {expected.logprob:.5f}")


def expect_all(bench: Bench, values: Floats, rows: Sequence[SampleRow], what: str) -> None:
    """Hand ``values``, shape (rows, vocabulary), to the engine's ``sample`` as its own logits."""
    __tracebackhide__ = True
    logits = bench.engine.forge(values)
    if logits is None:
        bench.skip("the kit cannot make logits of this array library; it has no array namespace")
    expect_rows(bench, logits, rows, what)


def expect_rows(bench: Bench, logits: Any, rows: Sequence[SampleRow], what: str) -> None:
    __tracebackhide__ = True
    before = to_numpy(logits)
    judged = [frozen(row) for row in rows]
    sampled = bench.engine.sample(logits, rows)
    expect(len(sampled) == len(rows), f"{what}: {len(sampled)} choices for {len(rows)} rows")
    for number, (row, got) in enumerate(zip(judged, sampled, strict=True)):
        expect_reference(before[row.index], row, got, f"{what}, row {number}, {shown(row.params)}")


def shown(params: SamplingParams) -> str:
    """The fields that are not at their defaults."""
    plain = SamplingParams()
    names = (name for name in SamplingParams.__slots__ if name not in ("logit_bias",))
    pairs = (
        f"{n}={getattr(params, n)!r}" for n in names if getattr(params, n) != getattr(plain, n)
    )
    return " ".join(pairs)


def logit_rows(bench: Bench, count: int, salt: int = 0) -> Floats:
    """Logits as models make them: a few candidates near each other, then a long flat tail."""
    draw = np.random.default_rng([salt, 7])
    vocab = bench.limits.vocab_size
    values = draw.normal(0, 2, (count, vocab))
    for row in values:
        leaders = draw.choice(vocab, size=min(24, vocab // 2), replace=False)
        row[leaders] = 9 + draw.normal(0, 1, leaders.size)
    return values.astype(np.float32)


def best_ids(logits: Floats, count: int) -> list[int]:
    return [int(token) for token in np.argsort(-logits, kind="stable")[:count]]


def draws(params: Sequence[SamplingParams], count: int) -> Iterator[SampleRow]:
    """``count`` rows, the parameters in turn, row i reading logits i."""
    for index in range(count):
        yield SampleRow(index, params[index % len(params)], prompt=(1, 2), output=())


def expect_params(bench: Bench, grid: Sequence[dict[str, float]]) -> None:
    """Each set of parameters on many rows of logits, each row with a seed of its own."""
    __tracebackhide__ = True
    values = logit_rows(bench, ROWS)
    params = [
        SamplingParams(**{"temperature": 1.0, **grid[i % len(grid)]}, seed=i)  # type: ignore[arg-type]  # int and float fields by name
        for i in range(ROWS)
    ]
    expect_all(bench, values, list(draws(params, ROWS)), "sample")


def expect_histories(bench: Bench, grid: Sequence[dict[str, float]], shift: float = 0.0) -> None:
    """Outputs that grow from call to call, of ids that are likely, some of them in the prompt."""
    __tracebackhide__ = True
    values = logit_rows(bench, ROWS, 4) + np.float32(shift)
    outputs: list[list[int]] = [[] for _ in range(ROWS)]
    rows = [history_row(i, values[i], outputs[i], grid) for i in range(ROWS)]
    logits = bench.engine.forge(values)
    if logits is None:
        bench.skip("the kit cannot make logits of this array library; it has no array namespace")
    for step in range(5):
        expect_rows(bench, logits, rows, f"after {step} ids")
        for index, output in enumerate(outputs):
            likely = best_ids(values[index], 6)
            output.append(likely[(0, 0, 1, 0, 2)[step]])


def history_row(
    index: int, logits: Floats, output: list[int], grid: Sequence[dict[str, float]]
) -> SampleRow:
    likely = best_ids(logits, 6)
    fields = {"temperature": (0.0, 1.0)[index // len(grid) % 2], **grid[index % len(grid)]}
    params = SamplingParams(**fields, seed=index)  # type: ignore[arg-type]  # fields by name
    prompt = (likely[1], likely[3], likely[3])
    return SampleRow(index, params, prompt, output, memory=SamplerMemory())


def packed(
    allowed: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """One bit per id, little end first, in whole int32 words."""
    words = np.zeros(-(-allowed.size // 32) * 4, np.uint8)
    bits = np.packbits(allowed, bitorder="little")
    words[: bits.size] = bits
    return words.view(np.int32)
