"""What the routes share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from starlette.requests import Request

from enginebay_server.config import ServerSettings
from enginebay_server.models import ModelTable
from enginebay_server.prompt import PromptMaker


@dataclass(frozen=True)
class Service:
    """One per app. ``base_url`` is what clients are told to use."""

    settings: ServerSettings
    models: ModelTable
    base_url: str
    needs_key: bool = False
    prompts: PromptMaker = field(default_factory=PromptMaker)

    @staticmethod
    def of(request: Request) -> Service:
        return cast("Service", request.app.state.service)
