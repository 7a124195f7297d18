"""What exactly answers: everything beside the request that decides an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enginebay_core.api import EngineBayError
from enginebay_core.export.fingerprint import hub_revision
from enginebay_core.plugins import distribution_versions
from enginebay_core.text.checkpoint import read_settings

WHOLE: Final = 2**24
"""Files up to this size are read whole, of larger ones ``BLOCKS`` blocks, spread evenly: a load
must not take twice as long, and other weights differ everywhere."""
BLOCKS, BLOCK_BYTES = 256, 2**16
TOKENIZER_FILES: Final = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "*.model", "*.tiktoken"),
)


@dataclass(frozen=True)
class Identity:
    """Alike on every machine that serves the same thing. None: there is no such part.

    ``versions`` are those of the distributions that take part, by name. ``revision`` is the commit
    of a hub's snapshot, else a hash of the files. ``tokenizer`` is its entry point's name and a
    hash of its files, ``template`` a hash of the chat templates. ``dtype`` is the engine's word.
    """

    backend: str
    versions: Mapping[str, str]
    revision: str | None
    tokenizer: str
    template: str | None
    dtype: str | None


def identify(
    backend: str,
    tokenizer: str,
    directory: Path,
    *,
    versions: Mapping[str, str],
    facts: Mapping[str, str],
) -> Identity:
    """Raises nothing: what cannot be read is left out. ``versions`` are those of the backend, where
    it runs; ``facts`` what its engine says of itself.
    """
    texts = [f"{name}\0{text}\0" for name, text in sorted(_templates(directory).items())]
    files = _found(directory, TOKENIZER_FILES)
    return Identity(
        backend=backend,
        versions={**distribution_versions("enginebay-core"), **versions},
        revision=hub_revision(directory) or _hash_of(_found(directory, ("[!.]*",))),
        tokenizer=" ".join(filter(None, (tokenizer, _hash_of(files)))),
        template=_named("".join(texts).encode()) if texts else None,
        dtype=facts.get("dtype") or facts.get("precision"),
    )


def _templates(directory: Path) -> Mapping[str, str]:
    """None of a checkpoint that another tokenizer reads, and this one could not."""
    try:
        return read_settings(directory).templates
    except (EngineBayError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _found(directory: Path, patterns: Iterable[str]) -> list[Path]:
    try:
        return sorted(
            {file for pattern in patterns for file in directory.glob(pattern) if file.is_file()}
        )
    except OSError:
        return []


def _hash_of(files: Iterable[Path]) -> str | None:
    """None where there are no files that can be read."""
    told = []
    for file in files:
        try:
            told.append(f"{file.name}\0{_content(file)}\0")
        except OSError:
            continue  # a model that loads without it does not need it
    return _named("".join(told).encode()) if told else None


def _content(file: Path) -> str:
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as opened:
        if size <= WHOLE:
            digest.update(opened.read())
            return digest.hexdigest()
        for number in range(BLOCKS):
            opened.seek((size - BLOCK_BYTES) * number // (BLOCKS - 1))
            digest.update(opened.read(BLOCK_BYTES))
    return digest.hexdigest()


def _named(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()[:32]}"
