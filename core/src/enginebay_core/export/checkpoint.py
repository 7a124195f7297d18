"""A checkpoint's files: config.json, and tensors that are mapped, never loaded whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api import ModelError

Array: TypeAlias = npt.NDArray[Any]

SINGLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
TYPES: Final = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""Storage types by safetensors' names; numpy has no bfloat16, so its bits come as integers."""


class Tensors:
    """The tensors of a checkpoint by name. Each is taken once, so that what is left over at the
    end is what nobody had a use for.
    """

    def __init__(self, model: Path) -> None:
        self._places: dict[str, tuple[Path, int, Mapping[str, Any]]] = {}
        for file in weight_files(model):
            start, header = read_header(file)
            self._places |= {name: (file, start, entry) for name, entry in header.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._places

    @property
    def left(self) -> list[str]:
        return sorted(self._places)

    def drop(self, name: str) -> None:
        self._places.pop(name, None)

    def take(self, name: str, *shape: int) -> Array:
        """In float32. Raises ModelError when it is missing or of another shape or type."""
        if name not in self._places:
            raise ModelError(f"the checkpoint has no tensor {name!r}; download it again")
        file, start, entry = self._places.pop(name)
        if tuple(entry["shape"]) != shape:
            raise ModelError(f"{name!r} has the shape {entry['shape']}; config.json says {shape}")
        if entry["dtype"] not in TYPES:
            raise ModelError(
                f"{name!r} is of type {entry['dtype']!r}; an export reads {', '.join(TYPES)}"
            )
        stored = np.memmap(
            file, TYPES[entry["dtype"]], "r", start + entry["data_offsets"][0], shape
        )
        return widen(stored, entry["dtype"])


def widen(stored: Array, dtype: str) -> npt.NDArray[np.float32]:
    """To float32; a bfloat16 is the upper half of one."""
    if dtype == "BF16":
        return (np.asarray(stored).astype(np.uint32) << 16).view(np.float32)
    return np.asarray(stored).astype(np.float32, copy=False)


def read_header(file: Path) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the entries by tensor name (the safetensors format: eight bytes
    of length, JSON, data). Raises ModelError when the file is not as long as it says.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header: dict[str, Any] = json.loads(opened.read(length) if length < size else b"")
        header.pop("__metadata__", None)
        end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{file} is not a safetensors file; download it again") from error
    if end != size:
        raise ModelError(f"{file} is damaged or cut short; download it again")
    return 8 + length, header


def weight_files(model: Path) -> list[Path]:
    if (model / SINGLE).is_file() or not (model / INDEX).is_file():
        return [model / SINGLE]
    names = read_json(model / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise ModelError(f"{model / INDEX} has no weight_map; download it again")
    return [model / str(name) for name in sorted(set(names.values()))]


def read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{file} is not JSON ({error}); download it again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} is not a JSON object; download it again")
    return content
