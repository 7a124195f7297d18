"""What an environment holds, written down in it when it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from enginebay_core.export.place import write_whole

RECORD: Final = "enginebay-environment.json"


class Record(BaseModel):
    """``wanted`` is a sha256 of all that decides what an index delivers, ``own`` one of each of our
    distributions in it. ``installed`` are all versions by name. ``proved``: everything imported.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    record_version: Literal[1] = 1
    name: str
    installer: str
    wanted: str
    own: dict[str, str]
    installed: dict[str, str] = {}
    proved: bool = False


def read_record(place: Path) -> Record | None:
    """None where there is none, or none that can be read: the environment is made anew then."""
    try:
        return Record.model_validate_json((place / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def write_record(place: Path, record: Record) -> None:
    write_whole(place / RECORD, record.model_dump_json(indent=1) + "\n")
