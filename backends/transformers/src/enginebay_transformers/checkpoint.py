"""A checkpoint's files, checked before anything heavy is imported or read."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enginebay_core.api import ModelError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A directory with a readable config.json and weight files that are all there, whole.

    ``weights_dtype`` is the dtype of most weights by count of bytes, in safetensors' spelling
    (``"BF16"``), or None where the weights are pickled.
    """

    directory: Path
    config: Mapping[str, Any]
    weights_dtype: str | None

    @classmethod
    def open(cls, directory: Path) -> Checkpoint:
        """Raises ModelError when the directory is not a whole checkpoint."""
        if not directory.is_dir():
            raise ModelError(f"there is no directory {str(directory)!r}; check the model's path")
        config = read_config(directory)
        shards = list(find_shards(directory))
        headers = [read_header(shard) for shard in shards]
        return cls(directory, config, most_common_dtype(headers))


def read_config(directory: Path) -> Mapping[str, Any]:
    path = directory / "config.json"
    if not path.is_file():
        raise ModelError(
            f"{str(directory)!r} is not a model: it has no config.json; give the directory that "
            "holds config.json and the weights"
        )
    config = read_json(path)
    if not isinstance(config.get("model_type"), str):
        raise ModelError(
            f"{str(path)!r} does not say its model_type, so it is not a Transformers model; "
            "convert the checkpoint, or choose the backend it was made for"
        )
    return config


def find_shards(directory: Path) -> Iterator[Path]:
    """The safetensors files; none where the weights are pickled."""
    if (directory / INDEX).is_file() and not (directory / SINGLE).is_file():
        yield from indexed_shards(directory)
    elif (directory / SINGLE).is_file():
        yield directory / SINGLE
    elif not any((directory / name).is_file() for name in PICKLED):
        raise ModelError(
            f"{str(directory)!r} has a config.json and no weights: neither {SINGLE}, {INDEX} nor "
            f"{PICKLED[0]} is there; download the checkpoint again"
        )


def indexed_shards(directory: Path) -> Iterator[Path]:
    weight_map = read_json(directory / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{str(directory / INDEX)!r} has no weight_map; download it again")
    names = sorted(set(weight_map.values()))
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise ModelError(
            f"{str(directory)!r} lacks {len(missing)} of {len(names)} weight files, first of all "
            f"{missing[0]!r}; download the checkpoint again"
        )
    yield from (directory / name for name in names)


def read_header(path: Path) -> Mapping[str, Any]:
    """The table of tensors at the start of a safetensors file (its format's own description:
    eight bytes of length, JSON, data), checked against the length of the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > size - 8:
            raise truncated(path)
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in tensors_of(header)]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(
                f"{str(path)!r} is not a safetensors file; download it again"
            ) from error
    if 8 + length + max(ends, default=0) != size:
        raise truncated(path)
    return {name: entry for name, entry in tensors_of(header)}


def tensors_of(header: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((name, entry) for name, entry in header.items() if name != "__metadata__")


def truncated(path: Path) -> ModelError:
    return ModelError(
        f"{str(path)!r} is truncated: it is not as long as its header says; download it again"
    )


def most_common_dtype(headers: list[Mapping[str, Any]]) -> str | None:
    sizes: dict[str, int] = {}
    for header in headers:
        for entry in header.values():
            start, end = entry["data_offsets"]
            sizes[entry["dtype"]] = sizes.get(entry["dtype"], 0) + end - start
    return max(sizes, key=lambda dtype: sizes[dtype], default=None)


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(path)!r} is not readable JSON ({error}); download it again") from (
            error
        )
    if not isinstance(value, dict):
        raise ModelError(f"{str(path)!r} is not a JSON object; download it again")
    return value
