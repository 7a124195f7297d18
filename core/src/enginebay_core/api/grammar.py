"""What an output is to be like, described so that every engine can make its own grammar of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RuleKind = Literal["text", "control", "json", "free", "sequence", "choice", "repeat"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One part of a grammar, by ``kind``; what a kind does not name stays empty.

    - ``text``: exactly ``text``, in ordinary tokens.
    - ``control``: the control token ``token``, which is written ``text``.
    - ``json``: a JSON value that is valid under the JSON Schema in ``text``, which came from the
      request field ``place``: an error about it names that.
    - ``free``: any text without control tokens. With ``text``: up to and with the first ``text``.
    - ``sequence``: all ``parts`` in order. Without any it is the empty text.
    - ``choice``: one of ``parts``.
    - ``repeat``: the one in ``parts``, any number of times, none included.
    """

    kind: RuleKind
    text: str = ""
    token: int = 0
    parts: tuple[Rule, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class ThinkingSpan:
    """Thinking that comes before the part with rules, and has none but to end: from the id
    ``opening`` to the id ``closing``. ``begun``: the prompt has opened it; otherwise the output may
    open it with its first id, or do without.
    """

    opening: int
    closing: int
    begun: bool


@dataclass(frozen=True, slots=True)
class Grammar:
    """The whole output follows ``rule``; with ``thinking``, the output after it does, where line
    ends may come first.
    """

    rule: Rule
    thinking: ThinkingSpan | None = None
