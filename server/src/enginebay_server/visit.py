"""One request's stay in the server: whose it is, what it costs, and what happens when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.types import Scope

from enginebay_core.api import Usage
from enginebay_server.request_id import new_request_id

CLIENT_LEFT: Final = 499
"""A status that nobody is sent, by nginx's custom: the client had left."""
NOTHING: Final = Usage(0, 0)

_KEY: Final = "visit"
_current: ContextVar[Visit | None] = ContextVar("visit", default=None)


@dataclass(eq=False)
class Visit:
    """Made when a request comes, closed when its answer is out or its client has left.

    ``model`` is the configured name, "" while it is not known. ``status`` is the answer's, 0 before
    there is one; of a stream that broke off, the one that it would have had by then.
    ``late``: it is being ended since it took too long. ``usage`` tells, at any time, what it has
    used; ``first_token`` when the first token came (``time.monotonic``); ``about`` what else a
    trace may tell.
    """

    id: str = field(default_factory=new_request_id)
    tenant: str = ""
    model: str = ""
    status: int = 0
    late: bool = False
    begun: float = field(default_factory=time.monotonic)
    usage: Callable[[], Usage] = lambda: NOTHING
    first_token: Callable[[], float | None] = lambda: None
    about: Callable[[], Mapping[str, Any]] = dict
    _endings: list[Callable[[], None]] = field(default_factory=list)

    @staticmethod
    def of(request: Request) -> Visit:
        return Visit.within(request.scope)

    @staticmethod
    def within(scope: Scope) -> Visit:
        """A request that came through no gate is nobody's in particular."""
        state = scope.setdefault("state", {})
        if _KEY not in state:
            state[_KEY] = Visit()
        return cast("Visit", state[_KEY])

    @staticmethod
    def current() -> Visit | None:
        """The one that the running task works for."""
        return _current.get()

    def enter(self, scope: Scope) -> None:
        scope.setdefault("state", {})[_KEY] = self
        _current.set(self)  # the task is the request's own

    def at_end(self, work: Callable[[], None]) -> None:
        self._endings.append(work)

    def close(self) -> None:
        while self._endings:
            self._endings.pop()()
