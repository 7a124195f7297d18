"""An engine's own logits to numpy and back, without importing its array library."""

from __future__ import annotations

from typing import Any

import numpy as np

from enginebay_core.compare.tolerance import Floats


def to_numpy(logits: Any) -> Floats:
    """A float32 copy; torch tensors, on any device and of any float type, are known by their
    methods, all else must answer to ``numpy.asarray``.
    """
    if hasattr(logits, "detach"):
        logits = logits.detach().float().cpu().numpy()
    return np.array(logits, dtype=np.float32)


def like(logits: Any, values: Floats) -> Any:
    """``values`` in the library, type and device of ``logits``; None where that is unknown."""
    if isinstance(logits, np.ndarray):
        return values.astype(logits.dtype)
    if hasattr(logits, "new_tensor"):
        return logits.new_tensor(values)
    if hasattr(logits, "__array_namespace__"):
        return logits.__array_namespace__().asarray(values, dtype=logits.dtype)
    return None
