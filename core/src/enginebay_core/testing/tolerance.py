"""What "equal" means between two ways of computing the same logits.

The same numbers added in another order give slightly other sums, and bfloat16 keeps eight bits of
them. So logits are compared within a bound that depends on the engine's precision, and two texts
may part only where the best two candidates are closer than twice that bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from enginebay_core.testing.expect import Floats

SHARES: Final[Mapping[str, float]] = {"float32": 5e-5, "float16": 5e-3, "bfloat16": 2e-2}
"""Noise as a share of the largest logit: some hundreds of roundings of the type's last bit for
float32, which no fault of bookkeeping stays under; a few for the short types."""

USUAL_LOGIT: Final = 20.0
COARSEST: Final = SHARES["bfloat16"]


def noise_bound(logits: Floats, facts: Mapping[str, str]) -> float:
    """How far two honest computations of ``logits`` may lie apart. ``facts["dtype"]`` says the
    engine's precision; without it, what the logits themselves can hold.
    """
    finite = np.abs(logits[np.isfinite(logits)])
    scale = float(finite.max(initial=1.0))
    return max(scale, 1.0) * SHARES.get(precision(logits, facts), COARSEST)


def precision(logits: Floats, facts: Mapping[str, str]) -> str:
    said = facts.get("dtype")
    if said is not None:
        return said.removeprefix("torch.")
    if not (logits.view(np.uint32) & 0xFFFF).any():
        return "bfloat16"
    halved = np.clip(logits, -65504, 65504).astype(np.float16).astype(np.float32)
    return "float16" if (halved == logits).all() else "float32"


def unseen_noise_bound(facts: Mapping[str, str]) -> float:
    """The same for an engine whose logits are not seen: of logits as most models have them, in
    float32 unless the engine says otherwise.
    """
    said = facts.get("dtype", "float32").removeprefix("torch.")
    return USUAL_LOGIT * SHARES.get(said, COARSEST)


def margin(scores: Floats) -> float:
    """By how much the best of ``scores``, shape (vocabulary,), leads the second."""
    best = np.partition(scores, -2)[-2:]
    return float(best[1] - best[0])
