"""Exports a checkpoint once: written, proved, and only then in its place."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enginebay_core.api import ModelError, Progress
from enginebay_core.export.exporter import Exporter, load_exporter
from enginebay_core.export.fingerprint import fingerprint, hub_revision, remembered_hash
from enginebay_core.export.gate import TOLERANCES, check_parity
from enginebay_core.export.manifest import (
    Manifest,
    Parity,
    check_files,
    is_export,
    read_manifest,
    record_files,
    write_manifest,
)
from enginebay_core.export.place import WAITING, discard, exports_root, is_made, locked, publish
from enginebay_core.export.reference import ask_reference
from enginebay_core.export.worker import run_apart

COMPANIONS: Final = ("*.json", "*.jinja", "*.txt", "*.model")
"""Tokenizer, chat template and configs: an export can be served where its checkpoint is not."""
NO_COMPANIONS: Final = "*.index.json"
WORDS: Final = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""The companions that an engine may read its tokens' spelling from, for grammars."""

log = logging.getLogger(__name__)


def export_model(
    model: Path,
    format_: str,
    out: Path,
    progress: Progress,
    *,
    precision: str | None = None,
    source: str | None = None,
) -> Manifest:
    """Export into ``out``, which must be new or empty. ``source`` is the model's name as the
    manifest shall call it. Raises GateClosed, or another ModelError; then ``out`` is as it was.
    """
    precision = choose_precision(load_exporter(format_), format_, precision)
    if is_export(model):
        raise ModelError(f"{str(model)!r} is an export already; give the checkpoint it was made of")
    if is_made(out) or out.is_file():
        raise ModelError(f"{str(out)!r} is there already; give a directory that is not")
    make(model, format_, precision, out, progress, source=source)
    return read_manifest(out)


def exported(model: Path, format_: str, precision: str | None, progress: Progress) -> Path:
    """The directory of an export of ``model``: itself where it is one, else one in the cache,
    which a process of its own makes now if this content was never exported so.

    Raises GateClosed, or another ModelError, also when ``model`` has files that are no longer
    those that passed.
    """
    if is_export(model):
        check_export(model, format_, precision)
        return model
    exporter = load_exporter(format_)
    precision = choose_precision(exporter, format_, precision)
    directory = cache_place(model, format_, precision, exporter, progress)
    if not cached(directory, format_, precision, progress):
        run_apart((model, format_, precision, directory), progress)
        check_export(directory, format_, precision)
    return directory


def cached(directory: Path, format_: str, precision: str, progress: Progress) -> bool:
    """Whether it lies in the cache as it passed. One that is damaged is thrown away: nobody named
    it, and it can be made again.
    """
    if not is_made(directory):
        return False
    try:
        check_export(directory, format_, precision)
    except ModelError as damage:
        try:
            return _replaced(directory, format_, precision, progress)
        except OSError:  # a cache that may be read alone
            raise damage from None
    return True


def _replaced(directory: Path, format_: str, precision: str, progress: Progress) -> bool:
    """Whether another process has made a good one meanwhile; if not, the damaged one is gone."""
    with locked(directory, progress, WAITING):
        if not is_made(directory):
            return False
        try:
            check_export(directory, format_, precision)
        except ModelError as damage:
            log.warning("the cache has a damaged export, which is made again now: %s", damage)
            discard(directory)
            return False
    return True


def make(
    model: Path,
    format_: str,
    precision: str,
    target: Path,
    progress: Progress,
    *,
    source: str | None = None,
) -> None:
    """In this process; returns at once where another has made ``target`` meanwhile."""
    exporter = load_exporter(format_)
    job = Job(model, format_, exporter, precision, source or model.name, progress)
    publish(target, job.build, progress)


def choose_precision(exporter: Exporter, format_: str, wanted: str | None) -> str:
    """Raises ModelError naming what there is."""
    if wanted is None:
        return exporter.precisions[0]
    if wanted not in exporter.precisions:
        raise ModelError(
            f"precision is {wanted!r}; {format_} can be written in {', '.join(exporter.precisions)}"
        )
    return wanted


def cache_place(
    model: Path, format_: str, precision: str, exporter: Exporter, progress: Progress
) -> Path:
    """Another place for any other content, tokenizer, precision or release of the tools."""
    words = {name: remembered_hash(model / name) for name in WORDS if (model / name).is_file()}
    made_of = [fingerprint(model, progress), words, dict(exporter.versions(model))]
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    return exports_root() / f"{format_}-{precision}-{key[:32]}"


def check_export(directory: Path, format_: str, precision: str | None) -> None:
    """Raises ModelError unless it is what is wanted, with the files that passed the gate."""
    manifest = read_manifest(directory)
    if manifest.format != format_:
        raise ModelError(
            f"{str(directory)!r} is an export to {manifest.format!r}, and this backend runs "
            f"{format_!r}; choose the backend it was made for, or export the checkpoint again"
        )
    if precision not in (None, manifest.precision):
        raise ModelError(
            f"precision is {precision!r}, and {str(directory)!r} was exported in "
            f"{manifest.precision!r}; leave precision out, or export the checkpoint again"
        )
    check_files(directory, manifest)


@dataclass(frozen=True)
class Job:
    """One export; ``build`` is what ``publish`` wants."""

    model: Path
    format: str
    exporter: Exporter
    precision: str
    source: str
    progress: Progress

    def build(self, made: Path) -> None:
        tools = dict(self.exporter.versions(self.model))
        content = fingerprint(self.model, self.progress)
        facts = self.exporter.write(self.model, made, self.precision, self.progress)
        copy_companions(self.model, made)
        parity = self.prove(made)
        self.progress("hashing the export")
        manifest = Manifest(
            format=self.format,
            precision=self.precision,
            source=self.source,
            source_sha256=content,
            revision=hub_revision(self.model),
            tools=tools,
            facts=dict(facts),
            parity=parity,
            files=record_files(made),
        )
        write_manifest(made, manifest)

    def prove(self, made: Path) -> Parity:
        """The reference goes before the export comes: together they may not fit."""
        reference, witnesses = ask_reference(self.model, self.exporter.references, self.progress)
        engine = self.exporter.open(made, self.precision, self.progress)
        try:
            passed = check_parity(engine, witnesses, self.precision, self.progress)
        finally:
            engine.close()
        return Parity(
            reference=reference,
            tolerance=TOLERANCES[self.precision],
            worst=passed.worst,
            passed=passed.cases,
        )


def copy_companions(model: Path, made: Path) -> None:
    """The checkpoint's small files, where the exporter wrote none of that name."""
    for pattern in COMPANIONS:
        for file in model.glob(pattern):
            if not (file.match(NO_COMPANIONS) or (made / file.name).exists()):
                shutil.copyfile(file, made / file.name)
