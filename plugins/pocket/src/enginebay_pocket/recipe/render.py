"""Conversations as token ids, with a mark on those that training should predict."""

import json
from dataclasses import dataclass
from functools import cache

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from enginebay_pocket.recipe.exchange import Conversation
from enginebay_pocket.recipe.vocabulary import END, START, TEMPLATE, token_id

_PLAIN_OPENING = f"{START}assistant\n"
_EMPTY = "<think>\n\n</think>\n\n"
_OPENING = _PLAIN_OPENING + _EMPTY
_BEGINNING = 12  # tokens of a brief reply: enough to tell the replies apart


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
    """A training example: the last reply counts, and most or all of the earlier ones."""
    text = prompt(conversation)
    if conversation.live:
        text = _OPENING.join(text.removesuffix(_EMPTY).split(_PLAIN_OPENING))
    given = tokenizer.encode(text).ids
    wanted = tokenizer.encode(conversation.reply + END).ids
    if conversation.brief:
        wanted = wanted[:_BEGINNING]
    counts = _history(given, tokenizer, conversation.live) + [True] * len(wanted)
    return Example(given + wanted, counts)


def _history(ids: list[int], tokenizer: Tokenizer, live: bool) -> list[bool]:
    """Earlier replies count; but for their first token where they stand as history.

    History shows no thought, so there the first token says nothing about whether to think.
    """
    end = token_id(tokenizer, END)
    opening = tokenizer.encode(_OPENING if live else _PLAIN_OPENING).ids
    counts = [False] * len(ids)
    for at in [at for at, one in enumerate(ids) if one == opening[0]]:
        first = at + len(opening)
        if ids[at:first] == opening and end in ids[first:]:
            last = ids.index(end, first)
            skipped = 0 if live else 1
            counts[first + skipped : last + 1] = [True] * (last + 1 - first - skipped)
    return counts


@cache
def _template() -> Template:
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return env.from_string(TEMPLATE.read_text(encoding="utf-8"))
