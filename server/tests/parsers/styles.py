"""One sample for each way in which a model may write calls, for the tests that all of them share.

To try a new parser, add its styles here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enginebay_core.text import ByteTokenizer
from enginebay_server.parsers import TOOL_PARSERS
from enginebay_server.parsers.syntax import Syntax

Call = tuple[str, str]
"""Name and arguments."""


class TaggedTokenizer(ByteTokenizer):
    """Bytes, and tags as control tokens; those that are ``hidden`` decode to nothing."""

    def __init__(self, tags: Sequence[str], hidden: Sequence[str] = ()) -> None:
        self._tags = {tag: 300 + number for number, tag in enumerate(tags)}
        self._shown = {number: tag for tag, number in self._tags.items() if tag not in hidden}
        self._pattern = re.compile("|".join(map(re.escape, tags)) or "(?!)")

    @property
    def control(self) -> Mapping[str, int]:
        return self._tags

    def encode(self, text: str, *, control: bool = False) -> list[int]:
        if not control:
            return super().encode(text)
        ids: list[int] = []
        end = 0
        for match in self._pattern.finditer(text):
            ids += [*super().encode(text[end : match.start()]), self._tags[match[0]]]
            end = match.end()
        return [*ids, *super().encode(text[end:])]

    def encode_with(self, text: str, spelled: str) -> list[int]:
        """Tags are meant, save where the text is ``spelled``."""
        first, *others = text.split(spelled)
        ids = self.encode(first, control=True)
        for other in others:
            ids += [*self.encode(spelled), *self.encode(other, control=True)]
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        parts: list[str] = []
        run: list[int] = []
        for token in ids:
            if token < 300:
                run.append(token)
                continue
            parts += [super().decode(run), self._shown.get(token, "")]
            run = []
        return "".join([*parts, super().decode(run)])


@dataclass(frozen=True)
class Style:
    """``write`` spells calls. ``alone``: nothing may stand before them. ``spells``: the tags are
    no control tokens. ``hidden`` are tags that are special tokens.
    """

    parser: str
    write: Callable[[Sequence[Call]], str]
    alone: bool = False
    spells: bool = False
    exact: bool = True
    hidden: Sequence[str] = field(default=())

    @property
    def syntax(self) -> Syntax:
        return TOOL_PARSERS[self.parser]

    @property
    def tokenizer(self) -> TaggedTokenizer:
        return TaggedTokenizer(() if self.spells else self.syntax.tags, self.hidden)


def _hermes(calls: Sequence[Call]) -> str:
    return "\n".join(
        f'<tool_call>\n{{"name": {json.dumps(name)}, "arguments": {arguments}}}\n</tool_call>'
        for name, arguments in calls
    )


def _coder(calls: Sequence[Call]) -> str:
    def parameter(key: str, value: Any) -> str:
        text = value if isinstance(value, str) else json.dumps(value)
        return f"<parameter={key}>\n{text}\n</parameter>\n"

    return "\n".join(
        f"<tool_call>\n<function={name}>\n"
        + "".join(parameter(*pair) for pair in json.loads(arguments).items())
        + "</function>\n</tool_call>"
        for name, arguments in calls
    )


def _llama(calls: Sequence[Call]) -> str:
    return "; ".join(
        f'{{"name": {json.dumps(name)}, "parameters": {arguments}}}' for name, arguments in calls
    )


def _mistral_list(calls: Sequence[Call]) -> str:
    listed = ", ".join(
        f'{{"name": {json.dumps(name)}, "arguments": {arguments}, "id": "abc{{d"}}'
        for name, arguments in calls
    )
    return f"[TOOL_CALLS] [{listed}]"


def _deepseek(calls: Sequence[Call], form: str) -> str:
    each = "\n".join(
        f"<｜tool▁call▁begin｜>{form.replace('NAME', name).replace('ARGS', arguments)}"
        "<｜tool▁call▁end｜>"
        for name, arguments in calls
    )
    return f"<｜tool▁calls▁begin｜>{each}<｜tool▁calls▁end｜>"


def _reversed(calls: Sequence[Call]) -> str:
    return "".join(
        f'<tool_call>{{"id": [1], "arguments":{arguments} ,"name":{json.dumps(name)}}}</tool_call>'
        for name, arguments in calls
    )


STYLES: Mapping[str, Style] = {
    "hermes": Style("hermes", _hermes),
    "hermes in text": Style("hermes", _hermes, spells=True),
    "hermes, arguments first": Style("hermes", _reversed),
    "hermes, arguments in a string": Style(
        "hermes", lambda calls: _hermes([(name, json.dumps(text)) for name, text in calls])
    ),
    "qwen3_coder": Style("qwen3_coder", _coder, exact=False),
    "qwen3_coder in text": Style("qwen3_coder", _coder, exact=False, spells=True),
    "llama3": Style("llama3", _llama, alone=True),
    "llama3, tagged": Style(
        "llama3", lambda calls: "<|python_tag|>" + _llama(calls), hidden=["<|python_tag|>"]
    ),
    "mistral list": Style("mistral", _mistral_list, hidden=["[TOOL_CALLS]"]),
    "mistral names": Style(
        "mistral",
        lambda calls: "".join(f"[TOOL_CALLS]{name}[ARGS]{text}" for name, text in calls),
        hidden=["[TOOL_CALLS]", "[ARGS]"],
    ),
    "mistral names and ids": Style(
        "mistral",
        lambda calls: "".join(
            f"[TOOL_CALLS]{name}[CALL_ID]a1b2c3d4e[ARGS]{text}" for name, text in calls
        ),
        hidden=["[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"],
    ),
    "deepseek v3": Style(
        "deepseek",
        lambda calls: _deepseek(calls, "function<｜tool▁sep｜>NAME\n```json\nARGS\n```"),
    ),
    "deepseek v3.1": Style("deepseek", lambda calls: _deepseek(calls, "NAME<｜tool▁sep｜>ARGS")),
}
