"""Conversations as token ids, with a mark on those that training should predict."""

import json
from dataclasses import dataclass
from functools import cache

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from enginebay_pocket.recipe.exchange import Conversation
from enginebay_pocket.recipe.vocabulary import END, START, TEMPLATE, token_id


@dataclass(frozen=True)
class Example:
    """Token ids, and for each whether its prediction counts."""

    ids: list[int]
    counts: list[bool]


def prompt(conversation: Conversation) -> str:
    """The text that the model is given."""
    return _template().render(
        messages=conversation.messages,
        tools=conversation.tools or None,
        add_generation_prompt=True,
        enable_thinking=conversation.thinking,
    )


def example(conversation: Conversation, tokenizer: Tokenizer) -> Example:
    """A training example: the last reply counts, and most of the earlier ones."""
    given = tokenizer.encode(prompt(conversation)).ids
    wanted = tokenizer.encode(conversation.reply + END).ids
    counts = _history(given, tokenizer) + [True] * len(wanted)
    return Example(given + wanted, counts)


def _history(ids: list[int], tokenizer: Tokenizer) -> list[bool]:
    """Earlier replies count but for their first token.

    History shows no thought, so there the first token says nothing about whether to think.
    """
    start, end = token_id(tokenizer, START), token_id(tokenizer, END)
    opening = [start, *tokenizer.encode("assistant\n").ids]
    counts = [False] * len(ids)
    for at in range(len(ids) - len(opening)):
        first = at + len(opening)
        if ids[at] == start and ids[at:first] == opening and end in ids[first:]:
            last = ids.index(end, first)
            counts[first + 1 : last + 1] = [True] * (last - first)
    return counts


@cache
def _template() -> Template:
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return env.from_string(TEMPLATE.read_text(encoding="utf-8"))
