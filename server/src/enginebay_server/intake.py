"""Who is let in before any work is done for them: as many sequences as run and may wait."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from enginebay_core.api import Overloaded, RequestError
from enginebay_core.placement import RunningModel


@dataclass
class Intake:
    """Counts sequences from before their prompts are rendered until their answers are out, or
    their clients have left. ``limit`` is for all models together; ``empty`` is set while there are
    none.
    """

    limit: int
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    _inside: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.empty.set()

    @property
    def inside(self) -> int:
        return self._inside.total()

    def take(self, model: RunningModel, queue: int, sequences: int) -> Callable[[], None]:
        """Room for all of them or for none; what is returned gives it back. ``queue`` is how many
        may wait, where the engine says how many run. A request for embeddings counts as one, and
        one runs. Raises Overloaded, or RequestError when there will never be so much room.
        """
        slots = model.generator.limits.sequences if model.embeddings is None else 1
        room = self.limit if slots is None else min(self.limit, slots + queue)
        if sequences > room:
            raise RequestError(
                f"The request makes {sequences} answers; model {model.name!r} takes at most {room} "
                "at once, waiting ones included.",
                param="n",
            )
        inside = self._inside[model.name]
        if inside + sequences > room or self.inside + sequences > self.limit:
            raise Overloaded(f"Model {model.name!r} is busy: {inside} answers run or wait already.")
        self._inside[model.name] += sequences
        self.empty.clear()
        return lambda: self._give_back(model.name, sequences)

    def _give_back(self, name: str, sequences: int) -> None:
        self._inside[name] -= sequences
        if not self.inside:
            self.empty.set()
