"""What the routes share."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, cast

from prometheus_client import CollectorRegistry
from starlette.requests import Request

from enginebay_server.auth import KeyRing
from enginebay_server.config import ServerSettings
from enginebay_server.errors import quote
from enginebay_server.intake import Intake
from enginebay_server.lookups import Lookups
from enginebay_server.metrics import Meters, open_registry
from enginebay_server.models import ModelTable
from enginebay_server.prompt import PromptMaker
from enginebay_server.visit import Visit

LONGEST_NOTED: Final = 80
"""Characters of a name that are kept."""
MAX_NOTED: Final = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """One per app. ``base_url`` is what clients are told to use."""

    settings: ServerSettings
    models: ModelTable
    base_url: str
    keys: KeyRing
    prompts: PromptMaker = field(default_factory=PromptMaker)
    noted: set[str] = field(default_factory=set)
    meters: Meters = field(init=False)
    intake: Intake = field(init=False)
    lookups: Lookups = field(init=False)
    registry: CollectorRegistry = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "meters", Meters(self.models.entries))
        object.__setattr__(self, "registry", open_registry(self.models, self.meters))
        object.__setattr__(self, "intake", Intake(self.settings.limits.sequences))
        object.__setattr__(self, "lookups", Lookups(self.settings.limits.lookups))

    @property
    def needs_key(self) -> bool:
        return self.keys.needed

    @staticmethod
    def of(request: Request) -> Service:
        return cast("Service", request.app.state.service)

    def reserve(self, request: Request, name: str, sequences: int) -> None:
        """Room for that many sequences of a model until the request ends, before any work is done
        for it. Raises Overloaded when there is none, RequestError when there never will be, and
        what ``ModelTable.running`` raises.
        """
        visit, entry = Visit.of(request), self.models.entry(name)
        self.meters.enter(visit, entry.name)
        model, queue = self.models.running(name), entry.config.queue
        visit.at_end(self.intake.take(model, queue.length, sequences))

    def reserve_lookup(self, request: Request) -> None:
        """The same for one that asks no model. Raises Overloaded."""
        Visit.of(request).at_end(self.lookups.take())

    def close(self) -> None:
        """Does not wait for prompts in work; their requests are gone."""
        self.prompts.close()
        self.lookups.close()

    def note_ignored(self, fields: Iterable[str]) -> None:
        """Log each unknown request field once, however often it comes."""
        for name in {one[:LONGEST_NOTED] for one in fields} - self.noted:
            if len(self.noted) < MAX_NOTED:
                self.noted.add(name)
                log.info("ignoring the unknown request field %s", quote(name))
