"""Tools as a client offers them: names, descriptions and arguments vary."""

from dataclasses import dataclass
from random import Random

from enginebay_pocket.recipe.exchange import Message
from enginebay_pocket.recipe.phrases import table

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
    name = rng.choice(words["names"])
    if rng.random() < 0.1:
        name += rng.choice(("_v2", "_tool", "_api", "_now", "_fn", "_service"))
    bare = kind == "clock" and rng.random() < 0.15
    return Offer(
        kind=kind,
        name=name,
        description=rng.choice(words["descriptions"]),
        argument="" if bare else rng.choice(words["arguments"]),
        hint=rng.choice(words["argument_descriptions"]),
        unit=kind == "weather" and rng.random() < 0.3,
    )


def offers(kinds: list[str], rng: Random) -> list[Offer]:
    """Tools of these kinds and sometimes others that have nothing to do with the question."""
    extra = ["other"] * rng.choice((0, 0, 0, 1, 1, 2))
    chosen = [draw(kind, rng) for kind in [*kinds, *extra]]
    rng.shuffle(chosen)
    return list({offer.name: offer for offer in chosen}.values())
