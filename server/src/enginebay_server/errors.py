"""Every failure leaves the server as ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from enginebay_core.api import (
    EngineBayError,
    EngineClosed,
    EngineCrashed,
    EngineError,
    Overloaded,
    RequestError,
)

INVALID: Final = "invalid_request_error"
SERVER: Final = "server_error"
MAX_MESSAGE: Final = 2_000
"""Characters of a message on the wire. A client's own words are cut much earlier, by ``quote``."""


class BodyTooLarge(RequestError):
    """The body is over ``server.max_body_bytes``."""

    status = 413
    code = "content_too_large"


class WrongMediaType(RequestError):
    """The body does not say it is JSON."""

    status = 415
    code = "unsupported_media_type"


class ResponseNotKept(RequestError):
    """Somebody asks for an earlier response; nothing is kept."""

    status = 404
    code = "response_not_found"


class ModelLoading(Overloaded):
    """The model is configured and on its way."""


class ModelFailed(EngineBayError):
    """The model is configured, and it did not load, or its backend kept crashing."""


class Draining(Overloaded):
    """The server is stopping and takes nothing new."""


@dataclass(frozen=True, slots=True)
class WireError:
    """An error as the client sees it."""

    status: int
    message: str
    type: str = INVALID
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, dict[str, str | None]]:
        message = self.message.encode("utf-8", "replace").decode()
        if len(message) > MAX_MESSAGE:
            message = message[:MAX_MESSAGE] + "…"
        return {
            "error": {
                "message": message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


OUT_OF_TIME: Final = WireError(
    504,
    "The answer was not done in time, so the server ended it.",
    SERVER,
    code="deadline_exceeded",
    headers={"x-should-retry": "false"},
)
"""The answer took longer than ``server.limits.request_seconds``."""


def quote(value: object, limit: int = 80) -> str:
    """``repr`` of a client's value, short enough to send back."""
    text = repr(_shortened(value, limit + 1))
    return text if len(text) <= limit else text[:limit] + "…"


def _shortened(value: object, most: int, levels: int = 3) -> object:
    """Enough of it to fill ``most`` characters, however large the whole is."""
    if isinstance(value, str | bytes):
        return value[:most]
    if isinstance(value, dict | list) and not levels:
        return ...
    if isinstance(value, list):
        return [_shortened(item, most, levels - 1) for item in value[:most]]
    if isinstance(value, dict):
        items = itertools.islice(value.items(), most)
        return {_shortened(name, most): _shortened(item, most, levels - 1) for name, item in items}
    return value


def wire_error(error: BaseException) -> WireError:
    """What a client may know about ``error``: nothing of what was not foreseen, and nothing of
    what is the operator's, as the errors of config, plugins and loading.
    """
    if isinstance(error, RequestError):
        return WireError(error.status, str(error), INVALID, error.param, error.code)
    if isinstance(error, ModelFailed):
        return WireError(
            503, str(error), SERVER, "model", "model_failed", {"x-should-retry": "false"}
        )
    if isinstance(error, Overloaded):
        return _overloaded(error)
    if isinstance(error, EngineClosed):
        return WireError(503, str(error), SERVER, None, "engine_closed")
    if isinstance(error, EngineError):
        code = "engine_crashed" if isinstance(error, EngineCrashed) else "engine_error"
        return WireError(500, str(error), SERVER, None, code)
    return WireError(500, "The server failed on this request; its log says why.", SERVER)


def _overloaded(error: Overloaded) -> WireError:
    codes = {ModelLoading: "model_loading", Draining: "shutting_down"}
    code = codes.get(type(error), "overloaded")
    retry = {"Retry-After": str(max(1, round(error.retry_after)))}
    return WireError(503, str(error), SERVER, None, code, retry)
