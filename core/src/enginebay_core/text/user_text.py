"""Strings from outside that spell control tokens, told apart from the template's own.

A chat template joins the client's strings and its own control tokens into one text, in which
``<|im_end|>`` is ``<|im_end|>``, whoever wrote it. So before rendering, each character of a
control token in the client's strings is exchanged for a stand-in: a lone surrogate, which no
valid text contains. It stays one character, so lengths, slices and joins are what they were, and
it survives every filter. After rendering, what is spelled in true characters is the template's.

The template may look for control tokens on purpose: Qwen3's finds ``</think>`` in an assistant
turn and drops old reasoning. ``UserText`` lets it: its methods search and compare what the text
really says, and cut the stand-ins. So the template decides as it would have without them, in every
role, and what it lets through of the client's own ``<think>`` stays text. A template that loses
the class on the way (an uncommon filter) sees stand-ins and finds nothing, which errs towards text.
Control tokens that a template composes of its own text and the client's (``'<' ~ key ~ '>'``) are
beyond this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, SupportsIndex

from enginebay_core.api import JsonValue
from enginebay_core.text.characters import check_characters

_STAND_IN: Final = re.compile("[\ud800-\udfff]")
_FIRST_STAND_IN: Final = 0xD800


class StandIns:
    """The stand-ins of one tokenizer's control tokens."""

    def __init__(self, control: Iterable[str]) -> None:
        words = sorted(control, key=len, reverse=True)
        characters = sorted({character for word in words for character in word})
        self._hide = {ord(one): _FIRST_STAND_IN + n for n, one in enumerate(characters)}
        self._show = {place: character for character, place in self._hide.items()}
        self._pattern = re.compile(_trie_pattern(words))
        self._beginnings = frozenset(word[:n] for word in words for n in range(1, len(word)))
        self._longest = max(map(len, words), default=0)

    def protect(self, value: JsonValue) -> JsonValue:
        """``value`` with UserText for each string in it that spells a control token."""
        if isinstance(value, str):
            check_characters(value)
            return self.wrap(self._hide_tail(self._pattern.sub(self._hide_match, value)))
        if isinstance(value, Mapping):
            return {str(self.protect(key)): self.protect(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.protect(one) for one in value]
        return value

    def wrap(self, text: str) -> str:
        return UserText(text, self) if _STAND_IN.search(text) else text

    def reveal(self, text: str) -> str:
        """The text with the true characters again."""
        return text.translate(self._show) if _STAND_IN.search(text) else text

    def replace_control(self, text: str, aliases: Mapping[str, str]) -> str:
        """``text`` with each control token that is spelled in true characters replaced."""
        return self._pattern.sub(lambda match: aliases[match[0]], text)

    def _hide_match(self, match: re.Match[str]) -> str:
        return match[0].translate(self._hide)

    def _hide_tail(self, text: str) -> str:
        """Hide the beginning of a control token at the end: the next string might complete it."""
        for length in range(min(self._longest, len(text)), 0, -1):
            if text[-length:] in self._beginnings:
                return text[:-length] + text[-length:].translate(self._hide)
        return text


class UserText(str):
    """A string with stand-ins that searches, compares and cuts as if it had none."""

    __slots__ = ("_stand_ins",)
    _stand_ins: StandIns | None

    def __new__(cls, text: str = "", stand_ins: StandIns | None = None) -> UserText:
        self = super().__new__(cls, text)
        self._stand_ins = stand_ins
        return self

    def __str__(self) -> str:
        return self

    def __hash__(self) -> int:
        return hash(self._plain)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self._plain == _plain(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __contains__(self, needle: str) -> bool:  # type: ignore[override]  # str's is positional-only
        return _plain(needle) in self._plain

    def __add__(self, other: str) -> str:
        return self._like(str.__add__(self, other))

    def __radd__(self, other: str) -> str:
        return self._like(str.__add__(other, self))

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        return self._like(str.__getitem__(self, key))

    def startswith(self, prefix: Any, *bounds: Any) -> bool:
        return self._plain.startswith(_plain_each(prefix), *bounds)

    def endswith(self, suffix: Any, *bounds: Any) -> bool:
        return self._plain.endswith(_plain_each(suffix), *bounds)

    def find(self, needle: str, *bounds: Any) -> int:
        return self._plain.find(_plain(needle), *bounds)

    def rfind(self, needle: str, *bounds: Any) -> int:
        return self._plain.rfind(_plain(needle), *bounds)

    def index(self, needle: str, *bounds: Any) -> int:
        return self._plain.index(_plain(needle), *bounds)

    def rindex(self, needle: str, *bounds: Any) -> int:
        return self._plain.rindex(_plain(needle), *bounds)

    def count(self, needle: str, *bounds: Any) -> int:
        return self._plain.count(_plain(needle), *bounds)

    def strip(self, characters: str | None = None) -> str:
        return self._strip(str.lstrip, characters)._strip(str.rstrip, characters)

    def lstrip(self, characters: str | None = None) -> str:
        return self._strip(str.lstrip, characters)

    def rstrip(self, characters: str | None = None) -> str:
        return self._strip(str.rstrip, characters)

    def removeprefix(self, prefix: str) -> str:
        return self[len(prefix) :] if self.startswith(prefix) else self

    def removesuffix(self, suffix: str) -> str:
        return self[: len(self) - len(suffix)] if self.endswith(suffix) else self

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        sep = _plain_or_none(sep)
        return self._cut(self._plain.split(sep, maxsplit), sep)

    def rsplit(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        sep = _plain_or_none(sep)
        return self._cut(self._plain.rsplit(sep, maxsplit), sep)

    def splitlines(self, keepends: bool = False) -> list[str]:
        lines = self._cut(self._plain.splitlines(keepends=True), "")
        ends = self._plain.splitlines(keepends)
        return [line[: len(end)] for line, end in zip(lines, ends, strict=True)]

    def partition(self, sep: str) -> tuple[str, str, str]:
        head, middle, tail = self._cut(self._plain.partition(_plain(sep)), "")
        return head, middle, tail

    def rpartition(self, sep: str) -> tuple[str, str, str]:
        head, middle, tail = self._cut(self._plain.rpartition(_plain(sep)), "")
        return head, middle, tail

    def replace(self, old: str, new: str, count: SupportsIndex = -1) -> str:
        return self._like(new.join(map(str, self.split(old, count)))) if old else self

    @property
    def _plain(self) -> str:
        text = str.__str__(self)
        return text if self._stand_ins is None else self._stand_ins.reveal(text)

    def _like(self, text: str) -> UserText:
        return UserText(text, self._stand_ins)

    def _strip(self, strip: Callable[[str, str | None], str], characters: str | None) -> UserText:
        left = len(self._plain)
        stripped = strip(self._plain, characters)
        begin = left - len(stripped) if strip is str.lstrip else 0
        return self._like(str.__getitem__(self, slice(begin, begin + len(stripped))))

    def _cut(self, parts: Iterable[str], sep: str | None) -> list[str]:
        """The same parts of this string; blanks lie between them where ``sep`` is None."""
        cut: list[str] = []
        plain, begin = self._plain, 0
        for part in parts:
            begin = plain.index(part, begin) if sep is None else begin
            cut.append(self[begin : begin + len(part)])
            begin += len(part) + len(sep or "")
        return cut


def _plain(text: str) -> str:
    return text._plain if isinstance(text, UserText) else text


def _plain_or_none(text: str | None) -> str | None:
    return None if text is None else _plain(text)


def _plain_each(text: Any) -> Any:
    return tuple(map(_plain, text)) if isinstance(text, tuple) else _plain(text)


def _trie_pattern(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest at each place, in time that does not grow with
    their number.
    """
    trie: dict[str, Any] = {}
    for word in words:
        node = trie
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return _node_pattern(trie) or "(?!)"


def _node_pattern(node: dict[str, Any]) -> str:
    literal = ""
    while len(node) == 1 and "" not in node:
        character, node = next(iter(node.items()))
        literal += re.escape(character)
    branches = [re.escape(one) + _node_pattern(rest) for one, rest in node.items() if one]
    if not branches:
        return literal
    return literal + f"(?:{'|'.join(branches)})" + ("?" if "" in node else "")
