"""Whether two runs of one request gave the same text, in the sense of ``tolerance``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from enginebay_core.api import GenerationRequest, SampleRow
from enginebay_core.api.noise import gumbel, noise_key
from enginebay_core.api.numpy_sampling import adjust, survivors
from enginebay_core.compare.answer import first_difference
from enginebay_core.compare.tolerance import Floats, margin, unseen_noise_bound
from enginebay_core.testing.bench import Answer, Bench
from enginebay_core.testing.expect import difference, expect


def expect_same_text(bench: Bench, request: GenerationRequest, got: Answer, what: str) -> bool:
    """``got`` is what the request gives alone: True; or it parts from that first where the best
    two candidates are closer than twice the engine's noise, which the report notes: False.
    """
    __tracebackhide__ = True
    alone = bench.lone(request)
    if got.ids == alone.ids and got.finish == alone.finish:
        return True
    place = first_difference(got.ids, alone.ids)
    lead, bound = lead_at(bench, request, alone, place)
    if lead is None or lead >= 2 * bound:
        seen = (
            "cannot be seen" if lead is None else f"is {lead:.3g}, twice the noise {2 * bound:.3g}"
        )
        raise AssertionError(
            f"{what}, the text is not what it is alone: {difference(got.ids, alone.ids)}. The "
            f"lead of the best candidate there {seen}"
        )
    bench.note(f"{what}: parted at output index {place}, where the lead is only {lead:.3g}")
    return False


def expect_same_texts(
    bench: Bench, requests: Sequence[GenerationRequest], answers: Sequence[Answer], what: str
) -> None:
    __tracebackhide__ = True
    pairs = zip(requests, answers, strict=True)
    expect_most_same([expect_same_text(bench, one, got, what) for one, got in pairs], what)


def expect_most_same(same: Sequence[bool], what: str) -> None:
    """Noise may part a text now and then; what parts most of them is no noise."""
    __tracebackhide__ = True
    expect(2 * sum(same) >= len(same), f"{what}: {sum(same)} of {len(same)} texts are the same")


def lead_at(
    bench: Bench, request: GenerationRequest, alone: Answer, place: int
) -> tuple[float | None, float]:
    """By how much the best candidate leads at ``place`` of the lone text, and the noise bound in
    the same measure. None where it cannot be known.
    """
    if place >= len(alone.ids):
        return None, 0.0
    if bench.subject.engine is None:
        return _lead_by_logprobs(bench, request, place)
    bench.rest()
    direct = bench.direct
    logits = direct.replay(0, request.prompt, alone.ids[:place])[-1]
    row = SampleRow(0, request.sampling, request.prompt, alone.ids[:place], request.choice)
    return margin(scores(logits, row)), scale(row) * direct.bound(logits)


def scores(logits: Floats, row: SampleRow) -> Floats:
    """What the reference sampler takes the argmax of; -inf for ids that it dropped."""
    adjusted = adjust(logits, row)
    if row.params.temperature == 0:
        return adjusted
    ids, left = survivors(adjusted, row.params)
    key = noise_key(row.params.seed or 0, row.choice, len(row.output))
    whole = np.full(logits.shape, -np.inf, np.float32)
    whole[ids] = left + gumbel(key, ids)
    return whole


def scale(row: SampleRow) -> float:
    return 1 / row.params.temperature if row.params.temperature else 1.0


def _lead_by_logprobs(
    bench: Bench, request: GenerationRequest, place: int
) -> tuple[float | None, float]:
    if request.sampling != bench.greedy() or not bench.claims("top_logprobs"):
        return None, 0.0
    telling = replace(request, sampling=bench.greedy(logprobs=2))
    _, best, second = bench.lone(telling).logprobs[place]
    return best.logprob - second.logprob, unseen_noise_bound(bench.limits.facts)
