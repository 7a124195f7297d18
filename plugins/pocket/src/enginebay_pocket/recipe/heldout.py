"""What the score keeps for itself, so that training never sees it."""

import re
from functools import cache

from enginebay_pocket.recipe.exchange import Conversation
from enginebay_pocket.recipe.offers import KINDS
from enginebay_pocket.recipe.phrases import normalise, table

_SLOT = re.compile(r"\{\w+\}")


def leaks(conversation: Conversation) -> bool:
    """Whether a conversation holds a held-out question, city or tool name."""
    messages = conversation.messages
    said = [message["content"] for message in messages if message["role"] == "user"]
    return (
        any(normalise(text) in questions() for text in said)
        or any(errands().fullmatch(normalise(text)) for text in said)
        or any(city in text for city in cities() for text in said)
        or any(tool["function"]["name"] in names() for tool in conversation.tools)
    )


@cache
def questions() -> frozenset[str]:
    """The held-out questions that have no slot, normalised."""
    held = table("heldout")
    asked = [part for topic in held["topics"].values() for part in topic.values()]
    asked += held["honesty"].values()
    return frozenset(normalise(text) for texts in asked for text in texts)


@cache
def errands() -> re.Pattern[str]:
    """The held-out questions that need a tool, normalised, with anything in their slots."""
    held = table("heldout")["tools"]
    asked = [text for kind in KINDS for lang in ("en", "zh") for text in held[kind][lang]]
    parts = ([normalise(part) for part in _SLOT.split(text)] for text in asked)
    return re.compile("|".join(".+".join(map(re.escape, part)) for part in parts))


@cache
def cities() -> tuple[str, ...]:
    """The held-out cities of both languages."""
    held = table("heldout")["tools"]["cities"]
    return (*held["en"], *held["zh"])


@cache
def names() -> frozenset[str]:
    """The held-out names of tools."""
    held = table("heldout")["tools"]
    return frozenset(name for kind in KINDS for name in held[kind]["names"])
