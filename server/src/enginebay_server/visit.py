"""One request's stay in the server: whose it is, and what is to happen when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from starlette.requests import Request
from starlette.types import Scope

_KEY: Final = "visit"


@dataclass
class Visit:
    """Made when a request has got in, closed when its answer is out or its client has left.

    ``late``: it is being ended since it took too long. ``spent`` tells, at any time, how many
    tokens it has used.
    """

    tenant: str = ""
    late: bool = False
    spent: Callable[[], int] = lambda: 0
    _endings: list[Callable[[], None]] = field(default_factory=list)

    @staticmethod
    def of(request: Request) -> Visit:
        """A request that came through no gate is nobody's in particular."""
        return cast("Visit", request.scope.setdefault("state", {}).setdefault(_KEY, Visit()))

    def enter(self, scope: Scope) -> None:
        scope.setdefault("state", {})[_KEY] = self

    def at_end(self, work: Callable[[], None]) -> None:
        self._endings.append(work)

    def close(self) -> None:
        while self._endings:
            self._endings.pop()()


def is_late(scope: Scope) -> bool:
    """Whether the request is being ended since it took too long."""
    visit: Visit | None = scope.get("state", {}).get(_KEY)
    return visit is not None and visit.late
