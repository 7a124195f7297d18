"""How many prompt ids fit into a step without making those who decode wait."""

from __future__ import annotations

PATIENCE = 1.5
"""A step may take this many decode steps longer because of a prompt: with the decode step itself
the gap stays under three of them."""

FEWEST, MOST = 8, 2048
FIRST_GUESS = 32
"""Prompt ids beside decoding, until a step has shown what they cost."""

SWIFTNESS = 0.3
"""Weight of the newest observation: costs drift with the context's length."""


COMPANY = 0.05
"""An idle engine lets this part of a decode step go by for more requests to come: prompts that
begin together read the weights once."""

SHORTEST_SLEEP = 0.001
"""Seconds; less is not worth a sleep."""


class Pace:
    """Learns the cost of steps, in seconds."""

    def __init__(self) -> None:
        self._decode: float | None = None
        self._per_id: float | None = None

    def observe(self, decode_rows: int, prompt_ids: int, seconds: float) -> None:
        """Take note of a step that was run. A prompt's cost is what it adds to a decode step: one
        that runs alone reads the weights too, which beside decoding are read anyway.
        """
        if decode_rows and not prompt_ids:
            self._decode = _blend(self._decode, seconds)
        elif prompt_ids >= FEWEST and self._decode is not None:
            added = max(seconds - self._decode, 1e-7)
            self._per_id = _blend(self._per_id, added / prompt_ids)

    def prompt_ids(self, decoding: bool) -> int:
        """How many to run in the next step."""
        if not decoding:
            return MOST
        if self._decode is None or self._per_id is None:
            return FIRST_GUESS
        return max(FEWEST, min(MOST, int(PATIENCE * self._decode / self._per_id)))

    @property
    def company(self) -> float:
        """Seconds for which nobody must have come before an idle engine begins; 0 when it is to
        begin at once.
        """
        wait = COMPANY * (self._decode or 0.0)
        return wait if wait >= SHORTEST_SLEEP else 0.0


def _blend(old: float | None, new: float) -> float:
    return new if old is None else old + SWIFTNESS * (new - old)
