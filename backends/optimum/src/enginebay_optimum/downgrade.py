"""A checkpoint that Transformers 5 saved, in the words of Transformers 4.57.

Version 4.57 reads a newer config.json without a complaint: what it does not know it leaves out, the
base of the rotary embedding among it, and answers wrongly. So every key is either translated, known
or refused, and what was read is compared with what was written.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import ModelError

WEIGHTS: Final = ("*.safetensors", "*.safetensors.index.json")
NOT_READ: Final = ("transformers_version", "auto_map", "_name_or_path", "dtype", "torch_dtype")
"""Keys that decide nothing here: weights are read in float32, and code beside them never runs."""
ELSEWHERE: Final = 'use backend = "transformers" for this model'


@contextlib.contextmanager
def readable(model: Path) -> Iterator[Path]:
    """A directory with the checkpoint as Transformers 4.57 wants it: the weights are links.

    Raises ModelError for a config.json that it would misread.
    """
    config = read_config(model)
    with tempfile.TemporaryDirectory(prefix="enginebay-optimum-") as made:
        for pattern in WEIGHTS:
            for file in model.glob(pattern):
                Path(made, file.name).symlink_to(file.resolve())
        if is_newer(config):
            config = translate(config, known_keys(config))
        Path(made, "config.json").write_text(json.dumps(config), encoding="utf-8")
        yield Path(made)


def read_config(model: Path) -> dict[str, Any]:
    """Raises ModelError when there is none."""
    try:
        read = json.loads((model / "config.json").read_bytes())
    except OSError as error:
        raise ModelError(f"{str(model)!r} is not a model: it has no config.json") from error
    except ValueError as error:
        raise ModelError(f"config.json is not JSON ({error}); download it again") from error
    if not isinstance(read, dict):
        raise ModelError("config.json is not a JSON object; download it again")
    return read


def is_newer(config: Mapping[str, Any]) -> bool:
    major = str(config.get("transformers_version", "")).partition(".")[0]
    return "rope_parameters" in config or (major.isdigit() and int(major) >= 5)


def known_keys(config: Mapping[str, Any]) -> Set[str]:
    """What Transformers 4.57 reads of such a model's config. Raises ModelError for unknown ones."""
    from transformers import CONFIG_MAPPING  # noqa: PLC0415 - only the environment has it

    kind = str(config.get("model_type"))
    if kind not in CONFIG_MAPPING:
        raise ModelError(
            f"model_type is {kind!r}, which Transformers 4.57 does not know; {ELSEWHERE}"
        )
    keys: Set[str] = set(CONFIG_MAPPING[kind]().to_dict())
    return keys


def translate(config: Mapping[str, Any], known: Set[str]) -> dict[str, Any]:
    """Raises ModelError naming the keys that are not in ``known``."""
    converted = {key: value for key, value in config.items() if key not in NOT_READ}
    if "rope_parameters" in converted:
        rope = translate_rope(converted.pop("rope_parameters"))
        # Mistral's config of 4.57 has no scaling at all: none is what it does then.
        converted |= {
            key: value for key, value in rope.items() if value is not None or key in known
        }
    unknown = sorted(set(converted) - known)
    if unknown:
        listed = ", ".join(f"{key} = {converted[key]!r}" for key in unknown)
        raise ModelError(
            f"config.json has {listed}, which Transformers 4.57 does not know: it would leave that "
            f"out and answer wrongly; {ELSEWHERE}"
        )
    return converted


def translate_rope(rope: Any) -> dict[str, Any]:
    """``rope_parameters`` as ``rope_theta``, ``rope_scaling`` and ``partial_rotary_factor``."""
    if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
        raise ModelError(
            f"rope_parameters in config.json is {rope!r}, one set for each kind of layer, which "
            f"Transformers 4.57 does not know; {ELSEWHERE}"
        )
    rest = dict(rope)
    theta, kind = rest.pop("rope_theta", None), rest.pop("rope_type", "default")
    if not isinstance(theta, int | float) or theta <= 0:
        raise ModelError(f"rope_theta in config.json is {theta!r}; it must be a number above 0")
    found: dict[str, Any] = {"rope_theta": theta}
    if "partial_rotary_factor" in rest:
        found["partial_rotary_factor"] = rest.pop("partial_rotary_factor")
    scaling = {"rope_type": kind, **rest} if kind != "default" else None
    if scaling is None and rest:
        raise ModelError(f"rope_parameters of type 'default' has {sorted(rest)}; {ELSEWHERE}")
    return {**found, "rope_scaling": scaling}


def check_read(written: Mapping[str, Any], read: Any) -> None:
    """``read`` is the config object. Raises ModelError for a key that came out otherwise."""
    for key, value in written.items():
        if key in NOT_READ:
            continue
        found = getattr(read, key, None)
        if not _same(value, found):
            raise ModelError(
                f"{key} in config.json is {value!r}, and Transformers 4.57 reads {found!r}; "
                f"{ELSEWHERE}"
            )


def _same(written: Any, read: Any) -> bool:
    """Of a dict, more may be read than was written: defaults are filled in."""
    if isinstance(written, dict) and isinstance(read, dict):
        return written.items() <= read.items()
    return bool(written == read)
