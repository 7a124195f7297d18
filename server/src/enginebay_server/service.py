"""What the routes share."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, cast

from starlette.requests import Request

from enginebay_server.config import ServerSettings
from enginebay_server.errors import quote
from enginebay_server.models import ModelTable
from enginebay_server.prompt import PromptMaker

MAX_NOTED: Final = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Service:
    """One per app. ``base_url`` is what clients are told to use."""

    settings: ServerSettings
    models: ModelTable
    base_url: str
    needs_key: bool = False
    prompts: PromptMaker = field(default_factory=PromptMaker)
    noted: set[str] = field(default_factory=set)

    @staticmethod
    def of(request: Request) -> Service:
        return cast("Service", request.app.state.service)

    def note_ignored(self, fields: Iterable[str]) -> None:
        """Log each unknown request field once, however often it comes."""
        for name in set(fields) - self.noted:
            if len(self.noted) < MAX_NOTED:
                self.noted.add(name)
                log.info("ignoring the unknown request field %s", quote(name))
