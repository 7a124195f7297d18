"""The corpus: conversations of one to several turns, drawn from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from enginebay_pocket.recipe import errands
from enginebay_pocket.recipe.exchange import Conversation, Exchange, Lang, Message
from enginebay_pocket.recipe.heldout import leaks
from enginebay_pocket.recipe.offers import KINDS, Offer, draw, offers
from enginebay_pocket.recipe.phrases import table
from enginebay_pocket.recipe.topics import Topic, exchange, topics

_REFUSES = {"weather": "no_weather", "clock": "no_clock", "calculator": "maths"}
_TURNS = (1, 2, 3, 3, 4, 5, 6, 8)
_TURNS_WITH_TOOLS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Scene:
    """What stays the same over one conversation."""

    lang: Lang
    offered: tuple[Offer, ...]
    thinking: bool
    short: bool


def conversations(seed: int, short: float = 0.55) -> Iterator[Conversation]:
    """Endless conversations; none holds what the score keeps for itself.

    `short` is the share of the short ones: a question and the beginning of its answer (which
    answer to give is what is hard to learn, and it shows in the first words), or one errand.
    """
    rng = Random(seed)
    while True:
        drawn = _conversation(_short(rng) if rng.random() < short else _scene(rng), rng)
        if not leaks(drawn):
            yield drawn


def _conversation(scene: Scene, rng: Random) -> Conversation:
    turns = rng.choice(_TURNS_WITH_TOOLS if scene.offered else _TURNS)
    if scene.short or (scene.thinking and rng.random() < 0.7):
        turns = 1
    exchanges = [_exchange(scene, rng)]
    for _ in range(turns - 1):
        if rng.random() < 0.08:
            scene = replace(scene, lang="en" if scene.lang == "zh" else "zh")
        exchanges.append(_following(exchanges[-1], scene, rng))
    return _assemble(exchanges, scene, rng)


def _short(rng: Random) -> Scene:
    lang: Lang = rng.choice(("en", "zh"))
    offered = (draw(rng.choice(KINDS), rng),) if rng.random() < 0.35 else ()
    return Scene(lang, offered, rng.random() < 0.35, short=True)


def _scene(rng: Random) -> Scene:
    lang: Lang = rng.choice(("en", "zh"))
    offered: list[Offer] = []
    if rng.random() < 0.42:
        offered = offers(rng.sample(KINDS, rng.choice((0, 1, 1, 1, 1, 2, 2, 3))), rng)
    return Scene(lang, tuple(offered), rng.random() < 0.3, short=False)


def _exchange(scene: Scene, rng: Random) -> Exchange:
    useful = [offer for offer in scene.offered if offer.kind in KINDS]
    if useful and rng.random() < 0.75:
        return _errand(rng.choice(useful), scene.lang, rng)
    return exchange(_topic(scene, rng), rng)


def _following(before: Exchange, scene: Scene, rng: Random) -> Exchange:
    """After a weather question a city may simply be named."""
    first = before.replies[0]
    weather = [offer for offer in scene.offered if offer.kind == "weather"]
    if first.text in table("manners")["which_city"].values():
        return errands.weather(weather[0], scene.lang, rng, "ask_weather_city")
    called = [offer for offer in weather if first.calls and offer.name == first.calls[0].name]
    if called and rng.random() < 0.4:
        return errands.weather(called[0], scene.lang, rng, "ask_weather_again")
    return _exchange(scene, rng)


def _errand(offer: Offer, lang: Lang, rng: Random) -> Exchange:
    if offer.kind == "calculator":
        return errands.calculator(offer, lang, rng)
    if offer.kind == "clock":
        return errands.clock(offer, lang, rng)
    style = rng.random()
    if style < 0.1:
        return errands.nowhere(lang, rng)
    return errands.both(offer, lang, rng) if style < 0.18 else errands.weather(offer, lang, rng)


def _topic(scene: Scene, rng: Random) -> Topic:
    """A topic at random, but no refusal for want of a tool that is there."""
    known = topics("topics", scene.lang)
    unknown = topics("unknown", scene.lang)
    offered = {_REFUSES.get(offer.kind) for offer in scene.offered}
    if rng.random() < 0.7:
        return rng.choice(known)
    if rng.random() < 0.4:
        return unknown[0]
    return rng.choice([topic for topic in unknown if topic.name not in offered])


def _assemble(exchanges: list[Exchange], scene: Scene, rng: Random) -> Conversation:
    messages = _system(scene.lang, rng)
    for past in exchanges[:-1]:
        messages.append({"role": "user", "content": past.user})
        for reply in past.replies:
            messages += reply.messages(thinking=False)
    last = exchanges[-1]
    messages.append({"role": "user", "content": last.user})
    cut = len(last.replies) - 1 if rng.random() < 0.7 else 0
    for reply in last.replies[:cut]:
        messages += reply.messages(scene.thinking)
    final = last.replies[cut]
    thought = f"<think>\n{final.think}\n</think>\n\n" if scene.thinking else ""
    tools = [offer.message() for offer in scene.offered]
    live = not scene.thinking and rng.random() < 0.75
    return Conversation(
        messages,
        thought + final.body(),
        tools,
        scene.thinking,
        live=live,
        brief=scene.short and not tools,
    )


def _system(lang: Lang, rng: Random) -> list[Message]:
    if rng.random() < 0.4:
        return []
    spoken: Lang = lang if rng.random() < 0.7 else rng.choice(("en", "zh"))
    lines: list[str] = table("tools")["systems"][spoken]
    return [{"role": "system", "content": lines[0] if rng.random() < 0.3 else rng.choice(lines)}]
