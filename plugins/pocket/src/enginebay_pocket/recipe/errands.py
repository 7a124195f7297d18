"""Questions that need a tool: the call, its result, and the answer made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from enginebay_pocket.recipe import results, sums, words
from enginebay_pocket.recipe.exchange import Call, Exchange, Lang, Reply
from enginebay_pocket.recipe.offers import ZONE_ARGUMENTS, Offer
from enginebay_pocket.recipe.phrases import pick, table
from enginebay_pocket.recipe.topics import dress

_ASK = {"weather": "ask_weather", "clock": "ask_clock", "calculator": "ask_calculator"}


@dataclass(frozen=True)
class Errand:
    """One tool call: its arguments, and what the user called the thing."""

    offer: Offer
    arguments: Mapping[str, str]
    subject: str


def weather(offer: Offer, lang: Lang, rng: Random, asks: str = "ask_weather") -> Exchange:
    """The weather in one city; `asks` is the table of questions, of which two follow others."""
    city = place(lang, rng)
    asked = table("tools")[asks][lang]
    question, unit = pick(rng.choice(asked), rng).replace("{city}", city), ""
    if offer.unit and rng.random() < 0.4:
        unit = rng.choice(("celsius", "fahrenheit"))
        question += table("manners")["in_unit"][lang][unit]
    result = results.weather(city, unit, lang, rng)
    arguments = {offer.argument: city} | ({"unit": unit} if unit else {})
    return _single(question, Errand(offer, arguments, city), result, lang, rng)


def nowhere(lang: Lang, rng: Random) -> Exchange:
    """The weather, but the user does not say where."""
    question = pick(rng.choice(table("tools")["ask_weather_here"][lang]), rng)
    manners = table("manners")
    reply = Reply(manners["thoughts"]["where"][lang], manners["which_city"][lang])
    return Exchange(dress(question, lang, rng, typos=False), (reply,))


def both(offer: Offer, lang: Lang, rng: Random) -> Exchange:
    """The weather in two cities, with two calls at once."""
    cities = [place(lang, rng), place(lang, rng)]
    question = (
        rng.choice(table("manners")["two_cities"][lang])
        .replace("{city}", cities[0])
        .replace("{city2}", cities[1])
    )
    found = [results.weather(city, "", lang, rng) for city in cities]
    calls = tuple(
        Call(offer.name, {offer.argument: city}, result.raw)
        for city, result in zip(cities, found, strict=True)
    )
    thoughts, joint = table("manners")["thoughts"], " " if lang == "en" else ""
    asked = Reply(_thought(offer, " / ".join(cities), lang), calls=calls)
    answer = Reply(thoughts["found"][lang], joint.join(result.said for result in found))
    return Exchange(dress(question, lang, rng, typos=False), (asked, answer))


def clock(offer: Offer, lang: Lang, rng: Random) -> Exchange:
    """The time in a city, or here if the tool takes no argument."""
    if not offer.argument:
        question = pick(rng.choice(table("tools")["ask_now"][lang]), rng)
        return _single(question, Errand(offer, {}, ""), results.clock("", lang, rng), lang, rng)
    zones: Mapping[str, str] = table("tools")["zones"]
    known = offer.argument in ZONE_ARGUMENTS and rng.random() < 0.5
    local = [city for city in zones if city.isascii() == (lang == "en")]
    city = rng.choice(local) if known else place(lang, rng)
    if offer.argument in ZONE_ARGUMENTS and rng.random() < 0.2:
        city = rng.choice([*zones.values(), "UTC"])
    wanted = zones.get(city, city) if offer.argument in ZONE_ARGUMENTS else city
    question = pick(rng.choice(table("tools")["ask_clock"][lang]), rng).replace("{city}", city)
    errand = Errand(offer, {offer.argument: wanted}, city)
    return _single(question, errand, results.clock(city, lang, rng), lang, rng)


def calculator(offer: Offer, lang: Lang, rng: Random) -> Exchange:
    """One sum."""
    task = sums.draw(rng, lang)
    question = pick(rng.choice(table("tools")["ask_calculator"][lang]), rng)
    errand = Errand(offer, {offer.argument: task.expression}, task.expression)
    result = results.calculator(task, lang, rng)
    return _single(question.replace("{sum}", task.spoken), errand, result, lang, rng)


def place(lang: Lang, rng: Random) -> str:
    """A city that exists, or a made-up one, so that copying is learnt and not the list."""
    if rng.random() < 0.35:
        cities: list[str] = table("tools")["cities"][lang]
        return rng.choice(cities)
    return words.city(lang, rng)


def _single(
    question: str, errand: Errand, result: results.Result, lang: Lang, rng: Random
) -> Exchange:
    if rng.random() < 0.05:
        result = results.failure(lang, rng)
    call = Call(errand.offer.name, errand.arguments, result.raw)
    asked = Reply(_thought(errand.offer, errand.subject, lang), calls=(call,))
    answer = Reply(table("manners")["thoughts"]["found"][lang], result.said)
    return Exchange(dress(_polite(question, lang, rng), lang, rng, typos=False), (asked, answer))


def _polite(question: str, lang: Lang, rng: Random) -> str:
    """The question with small words around it, at times."""
    manners = table("manners")
    if rng.random() < 0.35:
        question = rng.choice(manners["openings"][lang]) + question
    if rng.random() < 0.15:
        question += rng.choice(manners["tails"][lang])
    return question


def _thought(offer: Offer, subject: str, lang: Lang) -> str:
    kind = offer.kind if subject else "now"
    thought: str = table("manners")["thoughts"][kind][lang]
    return thought.format(subject=subject, name=offer.name)
