"""What the tokens of a model spell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``tokens`` are the bytes of each id that the engine has logits for, empty where an id is no
    token. ``control`` are the ids that are never part of a text, whatever they spell.
    """

    tokens: tuple[bytes, ...]
    control: frozenset[int]
