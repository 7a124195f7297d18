"""A check at load that an engine computes what the model computes without any cache."""

from __future__ import annotations

import math
from typing import Final

import torch

from enginebay_core.api import CopyPrefix, StepBatch, StepEngine, StepRow
from enginebay_transformers.causal_model import CausalModel

TOLERANCE: Final = {torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 1e-1}
"""Root mean square of the difference over that of the logits' spread. Rounding stays an order
below; a wrong mask, position or cache entry is an order above.
"""

PROBE: Final = 12
"""Ids of a probe sequence."""


def probe_ids(vocab_size: int) -> tuple[int, ...]:
    """Fixed, varied and in range: steps of a golden-ratio sequence."""
    return tuple((i * 2654435769 >> 7) % vocab_size for i in range(1, PROBE + 1))


@torch.inference_mode()
def plain_logits(model: CausalModel, ids: tuple[int, ...]) -> torch.Tensor:
    """(ids, vocabulary), by the model's own attention and without a cache."""
    tensor = torch.tensor([ids], device=model.device)
    positions = torch.arange(len(ids), device=model.device)[None]
    logits, _ = model.run(tensor, positions, range(len(ids)), use_cache=False)
    return logits.float()


def measure_error(expected: torch.Tensor, found: torch.Tensor) -> float:
    """Relative to the spread of the expected logits; infinite where anything is not finite."""
    difference = (found.float().to(expected.device) - expected).square().mean().sqrt()
    error = float(difference / expected.std().clamp_min(1e-12))
    return error if math.isfinite(error) else math.inf


def slots_error(engine: StepEngine, model_logits: torch.Tensor, ids: tuple[int, ...]) -> float:
    """Run the probe in every way that slots are used, and compare each."""
    cut, slots = PROBE // 2, engine.spec.max_sequences
    found = [run(engine, StepRow(0, 0, ids[:cut], "all"))]
    if slots == 1:
        found += [run(engine, StepRow(0, i, ids[i : i + 1])) for i in range(cut, PROBE)]
        return measure_error(model_logits, torch.cat(found))
    other = slots - 1
    copied = StepBatch(
        (CopyPrefix(0, other, cut - 2),), (StepRow(other, cut - 2, ids[cut - 2 :], "all"),)
    )
    found.append(engine.forward(copied)[2:])
    mixed = (StepRow(other, PROBE - 1, ids[-1:]), StepRow(0, cut, ids[cut:], "all"))
    found.append(engine.forward(StepBatch((), mixed)))
    decode = (StepRow(other, PROBE - 1, ids[-1:]), StepRow(0, PROBE - 1, ids[-1:]))
    found.append(engine.forward(StepBatch((), decode)))
    last = model_logits[-1:]
    return measure_error(
        torch.cat([model_logits, last, model_logits[cut:], last, last]), torch.cat(found)
    )


def native_error(engine: StepEngine, model_logits: torch.Tensor, ids: tuple[int, ...]) -> float:
    """A prompt, then one id at a time."""
    cut = PROBE // 2
    found = [run(engine, StepRow(0, 0, ids[:cut], "all"))]
    found += [run(engine, StepRow(0, i, ids[i : i + 1])) for i in range(cut, PROBE)]
    return measure_error(model_logits, torch.cat(found))


def run(engine: StepEngine, row: StepRow) -> torch.Tensor:
    logits: torch.Tensor = engine.forward(StepBatch((), (row,)))
    return logits
