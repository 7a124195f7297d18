"""How a family of models writes its tool calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from enginebay_server.parsers.call_form import CallForm
from enginebay_server.parsers.cursor import Cursor, Reading


@dataclass(frozen=True, slots=True)
class Syntax:
    """``tags`` are what ``read`` wants as Marks where the tokenizer has them as control tokens.
    ``opening`` are those without which no call begins; empty where a call can begin without.
    ``read`` takes the whole answer, to its END. ``forms`` are the ways in which models of this
    family write calls; where one is forced to call, it is kept to one of them.
    """

    name: str
    tags: tuple[str, ...]
    opening: tuple[str, ...]
    read: Callable[[Cursor], Reading[None]]
    forms: tuple[CallForm, ...] = ()
