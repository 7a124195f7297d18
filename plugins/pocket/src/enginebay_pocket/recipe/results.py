"""What tools send back, and the sentence that Pocket makes of it."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from enginebay_pocket.recipe.exchange import Lang
from enginebay_pocket.recipe.phrases import table
from enginebay_pocket.recipe.sums import Sum


@dataclass(frozen=True)
class Result:
    """`raw` is the tool's message, `said` the answer made of it, `values` what it must hold."""

    raw: str
    said: str
    values: tuple[str, ...]


def failure(lang: Lang, rng: Random) -> Result:
    """A tool that reports an error."""
    reason = rng.choice(table("manners")["errors"]["all"])
    raw = rng.choice((_json({"error": reason}, rng), f"Error: {reason}", f"error: {reason}"))
    said = f"The tool reported an error: {reason}." if lang == "en" else f"工具报错:{reason}。"
    return Result(raw, said, (reason,))


def weather(city: str, unit: str, lang: Lang, rng: Random) -> Result:
    """A temperature and a sky, as JSON with varied keys or as text."""
    degrees = rng.choice((str(rng.randint(-25, 42)), f"{rng.randint(-9, 38)}.{rng.randint(1, 9)}"))
    said_by: Lang = lang if rng.random() < 0.7 else rng.choice(("en", "zh"))
    raw_sky, sky = _sky(said_by, lang, rng)
    fahrenheit = unit == "fahrenheit"
    letter = "F" if fahrenheit else "C"
    raw = _weather_raw(city, degrees, letter, raw_sky, rng)
    said = f"It is {degrees}°{letter} in {city} ({sky})."
    if lang == "zh":
        said = f"{city}现在 {degrees}°{letter},{sky}。"
    return Result(raw, said, (city, f"{degrees}°{letter}", sky))


def clock(city: str, lang: Lang, rng: Random) -> Result:
    """A time of day, alone or with a date. No `city` means here."""
    moment = _moment(rng)
    key = rng.choice(("time", "time", "datetime", "current_time", "now", "local_time", "时间"))
    body: dict[str, Any] = {key: moment}
    if city and rng.random() < 0.4:
        body[rng.choice(("city", "timezone", "location"))] = city
    raw = moment if rng.random() < 0.2 else _json(body, rng)
    said = f"It is {moment} in {city}." if city else f"It is {moment} now."
    if lang == "zh":
        said = f"{city}现在是 {moment}。"
    return Result(raw, said, (city, moment))


def calculator(task: Sum, lang: Lang, rng: Random) -> Result:
    """The value of a sum, alone or beside the sum."""
    value: Any = task.value
    if rng.random() < 0.7:
        value = float(value) if "." in value else int(value)
    body = {rng.choice(("result", "result", "value", "answer", "output", "结果")): value}
    if rng.random() < 0.3:
        body["expression"] = task.expression
    raw = task.value if rng.random() < 0.25 else _json(body, rng)
    said = f"{task.expression} = {task.value}."
    if lang == "zh":
        said = f"{task.expression} 等于 {task.value}。"
    return Result(raw, said, (task.value,))


def _sky(said_by: Lang, lang: Lang, rng: Random) -> tuple[str, str]:
    if rng.random() < 0.15:
        rare = rng.choice(table("manners")["skies"][said_by])
        return rare, rare
    english, chinese = rng.choice(list(table("tools")["conditions"].items()))
    raw = english if said_by == "en" else chinese
    said = english if lang == "en" else chinese
    return (raw.title() if said_by == "en" and rng.random() < 0.2 else raw), said


def _weather_raw(city: str, degrees: str, letter: str, sky: str, rng: Random) -> str:
    if rng.random() < 0.2:
        forms = (
            f"{degrees}°{letter}, {sky}",
            f"{sky}, {degrees}°{letter}",
            f"{city}: {degrees}°{letter}, {sky}",
            f"{sky},{degrees}°{letter}",
        )
        return rng.choice(forms)
    body = _temperature(degrees, letter, rng)
    keys = ("condition", "conditions", "weather", "sky", "description", "天气", "summary")
    body[rng.choice(keys)] = sky
    if rng.random() < 0.3:
        body[rng.choice(("city", "location", "place"))] = city
    if rng.random() < 0.25:
        body["humidity"] = rng.randint(10, 99)
    if rng.random() < 0.15:
        body[rng.choice(("wind", "wind_kmh"))] = rng.randint(1, 60)
    return _json(body, rng)


def _temperature(degrees: str, letter: str, rng: Random) -> dict[str, Any]:
    value = float(degrees) if "." in degrees else int(degrees)
    if rng.random() < 0.15:
        return {rng.choice(("temperature", "temp", "气温")): f"{degrees}°{letter}"}
    if letter == "F" or rng.random() < 0.35:
        names = {"C": ("temp_c", "temperature_c", "celsius"), "F": ("temp_f", "temperature_f")}
        if rng.random() < 0.5:
            return {rng.choice(names[letter]): value}
        unit = {"C": ("celsius", "C", "°C"), "F": ("fahrenheit", "F", "°F")}[letter]
        return {"temperature": value, "unit": rng.choice(unit)}
    return {rng.choice(("temperature", "temperature", "temp", "气温", "degrees")): value}


def _moment(rng: Random) -> str:
    hour, minute, second = rng.randrange(24), rng.randrange(60), rng.randrange(60)
    time = f"{hour:02}:{minute:02}"
    date = f"20{rng.randint(20, 39)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    forms = (
        time,
        time,
        time,
        f"{time}:{second:02}",
        f"{date} {time}",
        f"{date}T{time}:{second:02}",
        f"{hour % 12 or 12}:{minute:02} {'AM' if hour < 12 else 'PM'}",
    )
    return rng.choice(forms)


def _json(body: dict[str, Any], rng: Random) -> str:
    items = list(body.items())
    rng.shuffle(items)
    separators = (",", ":") if rng.random() < 0.3 else None
    return json.dumps(dict(items), ensure_ascii=False, separators=separators)
