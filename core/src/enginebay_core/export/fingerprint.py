"""The content of a checkpoint as one short text."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Final

from enginebay_core.api import ModelError, Progress
from enginebay_core.export.place import cache_root, write_whole

SOURCES: Final = ("config.json", "*.safetensors", "*.safetensors.index.json", "*.bin", "*.py")
"""The files that decide what a model computes."""
REMEMBERED: Final = 2**20
"""Files from this size on are hashed once and remembered."""
COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def fingerprint(model: Path, progress: Progress) -> str:
    """A sha256 that changes with any byte of the checkpoint's config, weights and code."""
    files = sorted({file for pattern in SOURCES for file in model.glob(pattern)})
    if model / "config.json" not in files:
        raise ModelError(f"{str(model)!r} is not a model: it has no config.json")
    digest = hashlib.sha256()
    for number, file in enumerate(files):
        progress("hashing the model's files", number, len(files))
        digest.update(f"{file.name}\0{remembered_hash(file)}\0".encode())
    return digest.hexdigest()


def hub_revision(model: Path) -> str | None:
    """The commit, where the directory is a snapshot in the Hugging Face cache."""
    known = model.parent.name == "snapshots" and COMMIT.fullmatch(model.name)
    return model.name if known else None


def remembered_hash(file: Path) -> str:
    """As ``hash_file``; a large file is read anew only when its size or times have changed."""
    stat = file.stat()
    if stat.st_size < REMEMBERED:
        return hash_file(file)
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    place = hashlib.sha256(str(file.resolve()).encode()).hexdigest()
    memory = cache_root() / "hashes" / f"{place}.json"
    try:
        known = json.loads(memory.read_bytes())
        if known["state"] == state:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not known yet, or a memory that is no use
    found = hash_file(file)
    write_whole(memory, json.dumps({"state": state, "sha256": found}))
    return found


def hash_file(file: Path) -> str:
    """Raises ModelError when it cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}") from error
