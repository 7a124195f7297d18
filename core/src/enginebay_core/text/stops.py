"""Stop strings in text that comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """``start`` and ``end`` count characters from the beginning of all text fed."""

    stop: str
    start: int
    end: int


class _Automaton:
    """Knuth, Morris and Pratt (1977): one comparison or so per character, nothing read twice."""

    __slots__ = ("_failure", "matched", "stop")

    def __init__(self, stop: str) -> None:
        self.stop = stop
        self.matched = 0
        self._failure = _failures(stop)

    def take(self, character: str) -> bool:
        """Whether this character completes the stop string."""
        matched = self.matched
        while matched and self.stop[matched] != character:
            matched = self._failure[matched - 1]
        self.matched = matched + 1 if self.stop[matched] == character else 0
        return self.matched == len(self.stop)


class StopMatcher:
    """Finds the stop string that is complete first; of several that end together, the longest.

    "First to be complete" is the one rule under which neither the pieces in which text comes nor
    how long one waits can change the answer.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        longest_first = sorted(set(stops), key=len, reverse=True)
        self._automata = [_Automaton(stop) for stop in longest_first]
        self._first = frozenset(stop[0] for stop in longest_first)
        self._fed = 0
        self.held = 0

    def feed(self, text: str) -> Match | None:
        """After this, the last ``held`` characters of all that was fed may begin a stop string.
        Feed nothing after a match.
        """
        if not self.held and self._first.isdisjoint(text):
            self._fed += len(text)
            return None
        for offset, character in enumerate(text, start=1):
            for automaton in self._automata:
                if automaton.take(character):
                    end = self._fed + offset
                    return Match(automaton.stop, end - len(automaton.stop), end)
        self._fed += len(text)
        self.held = max((automaton.matched for automaton in self._automata), default=0)
        return None


def _failures(stop: str) -> list[int]:
    """For each prefix, the length of its longest proper prefix that is also its suffix."""
    failures = [0] * len(stop)
    length = 0
    for index in range(1, len(stop)):
        while length and stop[index] != stop[length]:
            length = failures[length - 1]
        length += stop[index] == stop[length]
        failures[index] = length
    return failures
