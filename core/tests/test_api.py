"""The public door: its names and signatures change on purpose or not at all."""

import dataclasses
import enum
import inspect
import json
from pathlib import Path
from typing import Any

from enginebay_core import api

SNAPSHOT = Path(__file__).parent / "api_snapshot.json"


def test_all_is_complete() -> None:
    public = {
        name
        for name, value in vars(api).items()
        if not (name.startswith("_") or inspect.ismodule(value) or name == "annotations")
    }
    assert set(api.__all__) == public


def test_names_and_signatures_are_as_in_the_snapshot() -> None:
    """When the change is meant: docs/stability.md says whether it may be made, then
    ``python core/tests/test_api.py`` writes the new snapshot."""
    assert describe() == json.loads(SNAPSHOT.read_text())


def test_protocols_stay_small() -> None:
    for name in (
        *("Tokenizer", "Generator", "Streamer", "StepEngine"),
        *("Embedder", "Backend", "Progress"),
    ):
        assert len(_members(getattr(api, name))) <= 5, name


def describe() -> dict[str, Any]:
    return {name: _describe(getattr(api, name)) for name in api.__all__}


def _describe(value: Any) -> Any:
    if isinstance(value, type) and issubclass(value, enum.Enum):
        return [member.value for member in value]
    if isinstance(value, type):
        return _members(value)
    if callable(value):
        return str(inspect.signature(value))
    return repr(value)


def _members(cls: type) -> dict[str, str]:
    members: dict[str, str] = {}
    if dataclasses.is_dataclass(cls):
        members = {field.name: f"field: {field.type}" for field in dataclasses.fields(cls)}
    elif hasattr(cls, "model_fields"):
        members = {name: f"option: {field.annotation}" for name, field in cls.model_fields.items()}
    for name, value in vars(cls).items():
        if name.startswith("_") and name not in ("__init__", "__call__"):
            continue
        if isinstance(value, property):
            members[name] = f"property: {value.fget.__annotations__.get('return')}"
        elif inspect.isfunction(value) and value.__qualname__.startswith(cls.__name__ + "."):
            members[name] = str(inspect.signature(value))
    if issubclass(cls, Exception):
        members["bases"] = ", ".join(base.__name__ for base in cls.__mro__[1:-1])
    return {name: text for name, text in members.items() if "_no_init" not in text}


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(describe(), indent=1) + "\n")
