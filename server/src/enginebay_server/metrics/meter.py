"""What has been done for each model, and what is under way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from enginebay_server.metrics.tally import Tally
from enginebay_server.visit import Visit

FIRST_TOKEN_BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
TOKEN_BOUNDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5),
)
REQUEST_BOUNDS: Final = (
    *(0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    *(30.0, 60.0, 120.0, 300.0, 600.0),
)


@dataclass
class ModelMeter:
    """``ended`` counts requests by endpoint and status; the tokens are those of ended requests,
    the others tell theirs themselves.
    """

    ended: Counter[tuple[str, int]] = field(default_factory=Counter)
    duration: Tally = field(default_factory=lambda: Tally(REQUEST_BOUNDS))
    first_token: Tally = field(default_factory=lambda: Tally(FIRST_TOKEN_BOUNDS))
    each_token: Tally = field(default_factory=lambda: Tally(TOKEN_BOUNDS))
    inside: set[Visit] = field(default_factory=set)
    _prompt: int = 0
    _completion: int = 0

    @property
    def prompt_tokens(self) -> int:
        return self._prompt + sum(visit.usage().prompt_tokens for visit in self.inside)

    @property
    def completion_tokens(self) -> int:
        return self._completion + sum(visit.usage().completion_tokens for visit in self.inside)

    def leave(self, visit: Visit, endpoint: str) -> None:
        usage, first = visit.usage(), visit.first_token()
        self.inside.discard(visit)
        self.ended[endpoint, visit.status] += 1
        self.duration.add(time.monotonic() - visit.begun)
        self._prompt += usage.prompt_tokens
        self._completion += usage.completion_tokens
        if first is not None:
            self.first_token.add(first - visit.begun)


class Meters:
    """One per app; belongs to its event loop. Requests that concern no model have the name ""."""

    def __init__(self, models: Iterable[str]) -> None:
        self.models = {model: ModelMeter() for model in ("", *models)}

    def of(self, model: str) -> ModelMeter:
        return self.models[model]

    def enter(self, visit: Visit, model: str) -> None:
        """The request turned out to be for that model."""
        visit.model = model
        self.of(model).inside.add(visit)

    def leave(self, visit: Visit, endpoint: str) -> None:
        """``endpoint`` is a route's own path, never what a client wrote."""
        self.of(visit.model).leave(visit, endpoint)
