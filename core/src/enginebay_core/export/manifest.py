"""What an export says of itself: ``enginebay-export.json`` in its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from enginebay_core.api import ModelError
from enginebay_core.export.fingerprint import hash_file

MANIFEST: Final = "enginebay-export.json"
ALWAYS_HASHED: Final = 64 * 2**20
"""Files up to this size are read again whenever an export is opened; of larger ones, which the
runtime is about to read anyway, only the size is compared.
"""


class FileRecord(BaseModel):
    """``sha256`` in hexadecimal digits."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    size: int
    sha256: str


class Parity(BaseModel):
    """What the gate found. ``worst`` is the largest difference of a logit, as a share of the
    largest logit; ``tolerance`` is what would have closed the gate. ``passed`` lists the cases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    reference: str
    tolerance: float
    worst: float
    passed: tuple[str, ...]


class Manifest(BaseModel):
    """``source_sha256`` stands for the content of the checkpoint's config and weights,
    ``revision`` for its commit where it came from a hub. ``facts`` are the exporter's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    manifest_version: Literal[1] = 1
    format: str
    precision: str
    source: str
    source_sha256: str
    revision: str | None
    tools: dict[str, str]
    facts: dict[str, str]
    parity: Parity
    files: dict[str, FileRecord]


def record_files(directory: Path) -> dict[str, FileRecord]:
    """Every file below ``directory`` by its relative name."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): FileRecord(
            size=path.stat().st_size, sha256=hash_file(path)
        )
        for path in files
    }


def write_manifest(directory: Path, manifest: Manifest) -> None:
    (directory / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


def is_export(directory: Path) -> bool:
    return (directory / MANIFEST).is_file()


def read_manifest(directory: Path) -> Manifest:
    """Raises ModelError when it is missing, damaged or of another version."""
    try:
        return Manifest.model_validate_json((directory / MANIFEST).read_bytes())
    except OSError as error:
        raise ModelError(f"{directory} is no export: it has no {MANIFEST}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"]) or "its text"
        raise ModelError(
            f"{directory / MANIFEST} cannot be used ({place}: {fault['msg']}); export again"
        ) from error


def check_files(directory: Path, manifest: Manifest) -> None:
    """Raises ModelError naming a file that is missing or not what was proved."""
    for name, record in manifest.files.items():
        file = directory / name
        if not file.is_file():
            raise ModelError(f"the export {directory} lacks {name!r}; export again")
        small = record.size <= ALWAYS_HASHED
        if file.stat().st_size != record.size or (small and hash_file(file) != record.sha256):
            raise ModelError(
                f"{name!r} in the export {directory} is not the file that passed the parity gate; "
                "export again"
            )
