"""When the tokens of one answer came."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """Seconds on one clock, whichever.

    ``arrivals`` are (when, how many tokens) in order. ``counted`` is the server's own count, where
    arrivals are chunks rather than tokens. ``error`` says why the answer is not whole; such an
    answer counts as an error and in no other figure.
    """

    started: float
    arrivals: tuple[tuple[float, int], ...] = ()
    counted: int | None = None
    error: str = ""

    @property
    def tokens(self) -> int:
        return sum(count for _, count in self.arrivals) if self.counted is None else self.counted

    @property
    def first(self) -> float:
        """When the first token came."""
        return self.arrivals[0][0]

    @property
    def ended(self) -> float:
        """When the last token came; the start, where none did."""
        return self.arrivals[-1][0] if self.arrivals else self.started

    @property
    def gaps(self) -> list[float]:
        """Seconds between neighbouring tokens. Those that came together have none between them."""
        found: list[float] = []
        before = None
        for when, count in self.arrivals:
            found += [] if before is None else [when - before]
            found += [0.0] * (count - 1)
            before = when
        return found
