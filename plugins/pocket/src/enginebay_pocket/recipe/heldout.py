"""What the score keeps for itself, so that training never sees it."""

from functools import cache
from typing import Any

from enginebay_pocket.recipe.phrases import normalise, table


def leaks(messages: list[dict[str, Any]]) -> bool:
    """Whether a conversation holds a held-out question or city."""
    said = [message["content"] for message in messages if message["role"] == "user"]
    return any(
        normalise(text) in questions() or any(city in text for city in cities()) for text in said
    )


@cache
def questions() -> frozenset[str]:
    """The held-out questions that have no slot, normalised."""
    held = table("heldout")
    asked = [part for topic in held["topics"].values() for part in topic.values()]
    asked += held["honesty"].values()
    return frozenset(normalise(text) for texts in asked for text in texts)


@cache
def cities() -> tuple[str, ...]:
    """The held-out cities of both languages."""
    held = table("heldout")["tools"]["cities"]
    return (*held["en"], *held["zh"])
