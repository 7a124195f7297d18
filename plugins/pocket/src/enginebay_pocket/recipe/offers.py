"""Tools as a client offers them: names, descriptions and arguments vary."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from enginebay_pocket.recipe.exchange import Message
from enginebay_pocket.recipe.phrases import table
from enginebay_pocket.recipe.words import invented

ZONE_ARGUMENTS = {"timezone", "tz", "time_zone", "zone"}
KINDS = ("weather", "calculator", "clock")


@dataclass(frozen=True)
class Offer:
    """One offered tool. No `argument` means that it takes none."""

    kind: str
    name: str
    description: str
    argument: str
    hint: str
    unit: bool

    def message(self) -> Message:
        """The tool as the OpenAI API writes it."""
        function: Message = {"name": self.name}
        if self.description:
            function["description"] = self.description
        function["parameters"] = self._parameters()
        return {"type": "function", "function": function}

    def _parameters(self) -> Message:
        if not self.argument:
            return {"type": "object", "properties": {}}
        argument = {"type": "string"}
        if self.hint:
            argument["description"] = self.hint
        properties: Message = {self.argument: argument}
        if self.unit:
            properties["unit"] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
        return {"type": "object", "properties": properties, "required": [self.argument]}


def draw(kind: str, rng: Random) -> Offer:
    """A tool of the kind, in one of its many guises."""
    words = table("tools")[kind]
    bare = kind == "clock" and rng.random() < 0.12
    cryptic = rng.random() < 0.15  # only the description tells what the tool does
    told = [text for text in words["descriptions"] if text or not cryptic]
    return Offer(
        kind=kind,
        name=_cryptic_name(rng) if cryptic else _name(words, rng),
        description=rng.choice(told),
        argument="" if bare else _argument(words["arguments"], rng),
        hint=rng.choice(words["argument_descriptions"]),
        unit=kind == "weather" and rng.random() < 0.3,
    )


def offers(kinds: list[str], rng: Random) -> list[Offer]:
    """Tools of these kinds and sometimes others that have nothing to do with the question."""
    extra = ["other"] * rng.choice((0, 0, 0, 1, 1, 2))
    chosen = [draw(kind, rng) for kind in [*kinds, *extra]]
    rng.shuffle(chosen)
    return list({offer.name: offer for offer in chosen}.values())


def _name(words: Mapping[str, list[str]], rng: Random) -> str:
    """A usual name, or one composed around a word that tells the kind."""
    if rng.random() < 0.4:
        return rng.choice(words["names"])
    naming = table("tools")["naming"]
    parts = [rng.choice(words["nouns"])]
    if rng.random() < 0.7:
        parts.insert(0, rng.choice(naming["verbs"]))
    if rng.random() < 0.5 or len(parts) == 1:
        parts.append(rng.choice([*naming["endings"], invented(rng)]))
    return _camel(parts) if rng.random() < 0.2 else "_".join(parts)


def _cryptic_name(rng: Random) -> str:
    return f"{rng.choice(table('tools')['naming']['verbs'])}_{invented(rng)}"


def _argument(usual: list[str], rng: Random) -> str:
    style = rng.random()
    if style < 0.5:
        return rng.choice(usual)
    if style < 0.7:
        return invented(rng)
    return f"{rng.choice(table('tools')['naming']['qualifiers'])}_{rng.choice(usual)}"


def _camel(parts: list[str]) -> str:
    words = "_".join(parts).split("_")
    return words[0] + "".join(word.title() for word in words[1:])
