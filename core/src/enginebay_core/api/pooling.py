"""From hidden states to one vector, as sentence-transformers does it and writes it down."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from enginebay_core.api.errors import ModelError

Pooling = Literal["mean", "last", "cls"]
"""The mean over all ids, the state of the last, or that of the first."""

MODULES: Final = "modules.json"
LENGTHS: Final = "sentence_bert_config.json"
_MODES: Final[Mapping[str, Pooling]] = {
    "mean_tokens": "mean",
    "mean": "mean",
    "lasttoken": "last",
    "cls_token": "cls",
    "cls": "cls",
}
_KNOWN: Final = ("Transformer", "Pooling", "Normalize")


@dataclass(frozen=True, slots=True)
class PoolingRecipe:
    """How a checkpoint's vectors are made: ``normalize`` scales them to length 1, ``max_length``
    is how many ids it was made for, None where it does not say.
    """

    pooling: Pooling = "mean"
    normalize: bool = True
    max_length: int | None = None


def read_pooling(model: Path) -> PoolingRecipe | None:
    """What ``modules.json`` says; None where there is none, so that nobody has said. Raises
    ModelError for a recipe with more in it than pooling and normalizing.
    """
    if not (model / MODULES).is_file():
        return None
    modules = _read(model / MODULES)
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    strange = [kind for kind in kinds if kind not in _KNOWN]
    if strange:
        raise ModelError(
            f"{MODULES} of the model has the module {strange[0]!r}; vectors are made of "
            f"{', '.join(_KNOWN)} alone here"
        )
    pooling: Pooling = "mean"
    if "Pooling" in kinds:
        place = modules[kinds.index("Pooling")]["path"]
        pooling = _mode(_read(model / place / "config.json"))
    return PoolingRecipe(pooling, "Normalize" in kinds, _longest(model))


def pool(
    hidden: npt.NDArray[np.float32], lengths: Sequence[int], how: Pooling
) -> npt.NDArray[np.float32]:
    """The reference. ``hidden`` is (inputs, ids, dimensions), padded on the right, of which the
    first ``lengths`` ids of each input count; the result is (inputs, dimensions).
    """
    counts = np.asarray(lengths)
    if how == "cls":
        return hidden[:, 0]
    if how == "last":
        found: npt.NDArray[np.float32] = hidden[np.arange(len(counts)), counts - 1]
        return found
    there = np.arange(hidden.shape[1])[None, :] < counts[:, None]
    total: npt.NDArray[np.float32] = np.where(there[:, :, None], hidden, 0).sum(axis=1)
    mean: npt.NDArray[np.float32] = np.divide(total, counts[:, None], dtype=np.float32)
    return mean


def _mode(config: Mapping[str, Any]) -> Pooling:
    """Newer files name one mode, older ones have a switch for each."""
    said = config.get("pooling_mode")
    prefix = "pooling_mode_"
    on = [name.removeprefix(prefix) for name, value in config.items() if value is True]
    modes = [str(said)] if said else [name for name in on if prefix + name in config]
    if len(modes) != 1 or modes[0] not in _MODES:
        raise ModelError(
            f"the model's pooling is {' + '.join(modes) or 'none'}; there is {', '.join(_MODES)}"
        )
    return _MODES[modes[0]]


def _longest(model: Path) -> int | None:
    file = model / LENGTHS
    found = _read(file).get("max_seq_length") if file.is_file() else None
    return found if isinstance(found, int) else None


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{file.name} of the model cannot be read: {error}") from error
