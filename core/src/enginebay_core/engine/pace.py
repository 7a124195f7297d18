"""How many prompt ids fit into a step without making those who decode wait."""

from __future__ import annotations

PATIENCE = 1.5
"""A gap may be this many decode steps longer because of a prompt: with the decode step itself it
stays under three of them."""

FEWEST, MOST = 8, 2048
FIRST_GUESS = 32
"""Prompt ids beside decoding, until a step has shown what they cost."""

SWIFTNESS = 0.3
"""Weight of the newest observation: costs drift with the context's length."""

CAUTION = 2.0
"""So many times its usual deviation is added to what a prompt is expected to cost, as TCP does with
the time of an answer (RFC 6298): it is the worst gap that is noticed, not the usual one."""

STALE = 32
"""Steps with prompts after which one without is due: under steady arrivals there would be none to
tell what decoding costs."""

COMPANY = 0.05
"""An idle engine lets this part of a decode step go by for more requests to come: prompts that
begin together read the weights once."""

SHORTEST_SLEEP = 0.001
"""Seconds; less is not worth a sleep."""


class Pace:
    """Learns the cost of steps, in seconds. ``apart``: prompts run in steps of their own, each of
    which reads the weights once more, and so takes a decode step's time beside the prompt's.
    """

    def __init__(self, *, apart: bool = False) -> None:
        self._patience = PATIENCE - 1 if apart else PATIENCE
        self._mixed = not apart
        self._age = STALE  # of what is known of decoding, in steps with prompts
        self._decode = _Cost()
        self._per_id = _Cost()

    def observe(self, decode_rows: int, prompt_ids: int, seconds: float) -> None:
        """Take note of a step that was run. A prompt's cost is what it adds to a decode step: one
        that runs alone reads the weights too, which beside decoding are read anyway.
        """
        if self._mixed and decode_rows:
            self._age = self._age + 1 if prompt_ids else 0
        if decode_rows and not prompt_ids:
            self._decode.observe(seconds)
        elif prompt_ids >= FEWEST and self._decode.known:
            added = max(seconds - self._decode.mean, 1e-7)
            self._per_id.observe(added / prompt_ids)

    def prompt_ids(self, decoding: bool) -> int:
        """How many to run in the next step; 0 when it is time to see what decoding alone costs."""
        if not decoding:
            return MOST
        if self._mixed and self._age >= STALE:
            return 0
        if not (self._decode.known and self._per_id.known):
            return FIRST_GUESS
        fitting = self._patience * self._decode.mean / self._per_id.careful
        return max(FEWEST, min(MOST, int(fitting)))

    @property
    def company(self) -> float:
        """Seconds for which nobody must have come before an idle engine begins; 0 when it is to
        begin at once.
        """
        wait = COMPANY * self._decode.mean
        return wait if wait >= SHORTEST_SLEEP else 0.0


class _Cost:
    """Seconds, as a running mean with its running mean deviation."""

    def __init__(self) -> None:
        self.known = False
        self.mean = 0.0
        self._deviation = 0.0

    def observe(self, seconds: float) -> None:
        if not self.known:
            self.mean, self.known = seconds, True
            return
        off = seconds - self.mean
        self.mean += SWIFTNESS * off
        self._deviation += SWIFTNESS * (abs(off) - self._deviation)

    @property
    def careful(self) -> float:
        return self.mean + CAUTION * self._deviation
