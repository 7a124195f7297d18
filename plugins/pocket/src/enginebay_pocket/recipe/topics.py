"""Questions that Pocket answers from memory, the honest refusals included."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from enginebay_pocket.recipe import noise, sums
from enginebay_pocket.recipe.exchange import Exchange, Lang, Reply
from enginebay_pocket.recipe.phrases import fill, pick, table

_BARE = {"greet", "thanks", "bye", "okay", "praise", "insult", "foreign"}


@dataclass(frozen=True)
class Topic:
    """One question in many phrasings, and its one answer, in one language."""

    name: str
    lang: Lang
    ask: tuple[str, ...]
    think: str
    reply: str


@cache
def topics(source: str, lang: Lang) -> tuple[Topic, ...]:
    """The topics of a phrase table: `topics` or `unknown`."""
    entries = table(source)["topic"]
    return tuple(_topic(entry, lang) for entry in entries if lang in entry)


def exchange(topic: Topic, rng: Random) -> Exchange:
    """A question on the topic, dressed up a little, and its answer."""
    manners, question = table("manners"), _question(topic, rng)
    greeting, style = "", rng.random()
    if topic.name not in _BARE:
        if style < 0.15:
            greeting = manners["hello"][topic.lang]
            question = rng.choice(manners["greetings"][topic.lang]) + question
        elif style < 0.35:
            question = rng.choice(manners["fillers"][topic.lang]) + question
        if rng.random() < 0.06:
            question += rng.choice(manners["closings"][topic.lang])
    user = dress(question, topic.lang, rng, typos=True)
    return Exchange(user, (Reply(topic.think, greeting + topic.reply),))


def dress(question: str, lang: Lang, rng: Random, typos: bool) -> str:
    """The question as somebody might type it."""
    text = noise.ending(question, lang, rng)
    return noise.english(text, rng, typos) if lang == "en" else noise.chinese(text, rng)


def _topic(entry: Mapping[str, Any], lang: Lang) -> Topic:
    part = entry[lang]
    return Topic(entry["name"], lang, tuple(part["ask"]), part["think"], part["reply"])


def _question(topic: Topic, rng: Random) -> str:
    slots = dict(table("unknown")["slots"][topic.lang])
    if rng.random() < 0.6:
        slots |= {name: [word.title() for word in slots[name]] for name in ("place", "person")}
    slots["sum"] = [sums.draw(rng, topic.lang).spoken]
    slots["num"] = [str(rng.choice((rng.randint(2, 99), rng.randint(100, 9999)))) for _ in range(2)]
    slots["year"] = [str(rng.randint(1800, 2030))]
    return fill(pick(rng.choice(topic.ask), rng), slots, rng)
