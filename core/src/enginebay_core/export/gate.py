"""The parity gate: an export answers as its checkpoint does, or it is not served.

The export is led along the reference's own ids, so that one early difference does not hide what
comes after, in the ways in which it will be used: alone, several at once, in chunks. All logits are
compared; a greedy id may differ only where the reference's best two lie closer than the tolerance
allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import numpy as np

from enginebay_core.api import (
    GenerationRequest,
    Generator,
    ModelError,
    Progress,
    SamplingParams,
    StepEngine,
    StepRow,
)
from enginebay_core.export.witness import Floats, Witness, run

TOLERANCES: Final = {"fp32": 1e-4, "f32": 1e-4, "fp16": 1e-2, "bf16": 5e-2, "int8": 2e-1}
"""How far a logit may lie off, as a share of the largest logit: float32 sums in another order,
the short floats' last bits, 8-bit weights and activations. A lost rope base is off by 2.
"""
CHUNK: Final = 7
"""Ids at a time of a chunked prompt: divides none of the prompts' lengths."""


class GateClosed(ModelError):
    """An export that does not compute what its checkpoint computes; nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The cases that were run, and the largest difference as a share of the largest logit."""

    cases: tuple[str, ...]
    worst: float


@dataclass(frozen=True, slots=True)
class Step:
    """What a case saw: of which witness, after which of its ids, which logits."""

    witness: int
    position: int
    logits: Floats


def check_parity(
    engine: StepEngine | Generator,
    witnesses: Sequence[Witness],
    precision: str,
    progress: Progress,
) -> Passed:
    """Raises GateClosed naming case, position and difference."""
    tolerance = TOLERANCES[precision]
    if isinstance(engine, StepEngine):
        return check_steps(engine, witnesses, tolerance, progress)
    progress("comparing greedy ids with the reference")
    return asyncio.run(check_text(engine, witnesses, tolerance))


def check_steps(
    engine: StepEngine, witnesses: Sequence[Witness], tolerance: float, progress: Progress
) -> Passed:
    worst, cases = 0.0, cases_for(engine)
    for number, (name, case) in enumerate(cases.items()):
        for step in case(engine, witnesses):  # of a large model each takes a while
            progress("comparing logits with the reference", number, len(cases))
            worst = max(worst, compare(name, step, witnesses[step.witness], tolerance))
    return Passed(tuple(cases), worst)


Case = Callable[[StepEngine, Sequence[Witness]], Iterator[Step]]


def cases_for(engine: StepEngine) -> dict[str, Case]:
    """What the engine can be asked: one that takes whole prompts alone is given no chunks."""
    cases: dict[str, Case] = {"alone": run_alone}
    if engine.spec.max_sequences > 1:
        cases["ragged batch"] = run_ragged
    if engine.spec.batching != "single":
        cases["chunked"] = run_chunked
    return cases


def run_alone(engine: StepEngine, witnesses: Sequence[Witness]) -> Iterator[Step]:
    """The prompt at once, then id by id."""
    for number, witness in enumerate(witnesses):
        logits = run(engine, StepRow(0, 0, witness.prompt, "all"), free=True)
        yield from (Step(number, position, row) for position, row in enumerate(logits))
        for position in range(len(witness.prompt), len(witness.ids)):
            row = StepRow(0, position, (witness.ids[position],))
            yield Step(number, position, run(engine, row)[0])


def run_ragged(engine: StepEngine, witnesses: Sequence[Witness]) -> Iterator[Step]:
    """All decode together, one more with every step, in slots that are not in order."""
    slots = engine.spec.max_sequences
    group = list(enumerate(witnesses))[:slots]
    places = {number: (slots - 1 - number) for number, _ in group}
    lengths: dict[int, int] = {}
    while len(lengths) < len(group) or any(lengths[n] < len(w.ids) for n, w in group):
        if len(lengths) < len(group):
            number, joining = group[len(lengths)]
            row = StepRow(places[number], 0, joining.prompt)
            lengths[number] = len(joining.prompt)
            yield Step(number, len(joining.prompt) - 1, run(engine, row, free=True)[0])
        decoding = [n for n in lengths if lengths[n] < len(witnesses[n].ids)]
        rows = [StepRow(places[n], lengths[n], (witnesses[n].ids[lengths[n]],)) for n in decoding]
        for number, logits in zip(decoding, run(engine, *rows) if rows else (), strict=True):
            yield Step(number, lengths[number], logits)
            lengths[number] += 1


def run_chunked(engine: StepEngine, witnesses: Sequence[Witness]) -> Iterator[Step]:
    """Prompt and output alike, a few ids at a time."""
    for number, witness in enumerate(witnesses):
        for start in range(0, len(witness.ids), CHUNK):
            ids = witness.ids[start : start + CHUNK]
            logits = run(engine, StepRow(0, start, ids, "all"), free=start == 0)
            yield from (Step(number, start + index, row) for index, row in enumerate(logits))


def compare(case: str, step: Step, witness: Witness, tolerance: float) -> float:
    """The difference as a share of the largest logit. Raises GateClosed when it is too large."""
    expected = witness.logits[step.position]
    scale = float(np.abs(expected).max(initial=1.0))
    share = float(np.abs(step.logits - expected).max()) / scale
    if share <= tolerance:
        return share
    best, said = int(expected.argmax()), int(step.logits.argmax())
    raise GateClosed(
        f"the export does not compute what its checkpoint computes, so it is not served. It parts "
        f"in the case {case!r}, prompt {step.witness + 1}, after id {step.position + 1} of "
        f"{len(witness.ids)}: a logit is off by {share * scale:.3g}, {share:.2%} of the largest "
        f"({tolerance:.2%} would do); the best next id is {best}, the export says {said}"
    )


async def check_text(
    generator: Generator, witnesses: Sequence[Witness], tolerance: float
) -> Passed:
    """For engines that show no logits: greedy ids, alone and all at once."""
    worst = 0.0
    for number, witness in enumerate(witnesses):
        output = await generate(generator, witness)
        worst = max(worst, compare_text("alone", number, witness, output, tolerance))
    together = await asyncio.gather(*(generate(generator, witness) for witness in witnesses))
    for number, (witness, output) in enumerate(zip(witnesses, together, strict=True)):
        worst = max(worst, compare_text("batch", number, witness, output, tolerance))
    return Passed(("alone", "batch"), worst)


async def generate(generator: Generator, witness: Witness) -> list[int]:
    sampling = SamplingParams(temperature=0, seed=0)
    request = GenerationRequest(witness.prompt, len(witness.output), sampling)
    async with aclosing(generator.generate(request)) as steps:
        return [token async for step in steps for token in step.ids]


def compare_text(
    case: str, number: int, witness: Witness, output: Sequence[int], tolerance: float
) -> float:
    """By how much the reference's best leads where the text parts, as a share of its largest
    logit; 0 where it does not. Raises GateClosed when that is more than noise explains.
    """
    if len(output) != len(witness.output):
        raise GateClosed(
            f"the export is not served: in the case {case!r}, prompt {number + 1}, it ended after "
            f"{len(output)} of {len(witness.output)} ids"
        )
    pairs = enumerate(zip(witness.output, output, strict=True))
    place = next((index for index, (one, other) in pairs if one != other), None)
    if place is None:
        return 0.0
    expected = witness.logits[len(witness.prompt) - 1 + place]
    lead = float(expected.max() - expected[output[place]])
    share = lead / float(np.abs(expected).max(initial=1.0))
    if share <= 2 * tolerance:
        return share
    raise GateClosed(
        f"the export does not answer as its checkpoint does, so it is not served. It parts in the "
        f"case {case!r}, prompt {number + 1}, at output id {place + 1}: the reference says "
        f"{witness.output[place]}, leading by {lead:.3g}, {share:.2%} of the largest logit "
        f"({2 * tolerance:.2%} would do); the export says {output[place]}"
    )
