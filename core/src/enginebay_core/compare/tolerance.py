"""What "equal" means between two ways of computing the same logits.

The same numbers added in another order give slightly other sums, and bfloat16 keeps eight bits of
them. So logits are compared within a bound that depends on the engine's precision, and two texts
may part only where the best two candidates are closer than twice that bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]

SHARES: Final[Mapping[str, float]] = {"float32": 5e-5, "float16": 5e-3, "bfloat16": 2e-2}
"""Noise as a share of the largest logit: some hundreds of roundings of the type's last bit for
float32, which no fault of bookkeeping stays under; a few for the short types."""

SHORT_NAMES: Final[Mapping[str, str]] = {
    "f32": "float32",
    "fp32": "float32",
    "f16": "float16",
    "fp16": "float16",
    "bf16": "bfloat16",
}
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
    said = said_precision(facts)
    if said is not None:
        return said
    if not (logits.view(np.uint32) & 0xFFFF).any():
        return "bfloat16"
    halved = np.clip(logits, -65504, 65504).astype(np.float16).astype(np.float32)
    return "float16" if (halved == logits).all() else "float32"


def said_precision(facts: Mapping[str, str]) -> str | None:
    """What an engine says that it computes in: its ``dtype``, else the ``precision`` that its
    graph was exported in.
    """
    said = facts.get("dtype", facts.get("precision"))
    return None if said is None else SHORT_NAMES.get(said, said.removeprefix("torch."))


def unseen_noise_bound(facts: Mapping[str, str]) -> float:
    """The same for an engine whose logits are not seen: of logits as most models have them, in
    float32 unless the engine says otherwise.
    """
    return USUAL_LOGIT * SHARES.get(said_precision(facts) or "float32", COARSEST)


def margin(scores: Floats) -> float:
    """By how much the best of ``scores``, shape (vocabulary,), leads the second."""
    best = np.partition(scores, -2)[-2:]
    return float(best[1] - best[0])
