"""The bytes of a request to one JSON object, with a bound on everything."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

from starlette.requests import Request

from enginebay_core.api import JsonValue, RequestError
from enginebay_server.bounds import check_bounds
from enginebay_server.config import Bounds
from enginebay_server.errors import BodyTooLarge, WrongMediaType, quote
from enginebay_server.service import Service

MAX_DIGITS: Final = 40
DEFAULTS: Final = Bounds()
READ_ON_LOOP: Final = 64 * 1024
"""Bodies up to this many bytes are read at once; a thread costs more than that takes."""

T = TypeVar("T")

log = logging.getLogger(__name__)


async def read_body(request: Request, read: Callable[[dict[str, JsonValue]], T]) -> T:
    """What ``read`` makes of the body, a JSON object within the settings' bounds. Large ones are
    parsed and read on a thread, so that others do not wait.

    Raises RequestError (400, 413, 415) for everything that is not one, ClientDisconnect when the
    client left, or took too long to send it, and what ``read`` raises.
    """
    _require_json(request)
    settings = Service.of(request).settings
    raw = await _receive(request, settings.max_body_bytes, settings.limits.body_pieces)

    def work() -> T:
        body = parse_object(raw, settings.limits)
        if settings.log_prompts:
            log.info("body", extra={"body": body})
        return read(body)

    return work() if len(raw) <= READ_ON_LOOP else await asyncio.to_thread(work)


def parse_object(raw: bytes, bounds: Bounds = DEFAULTS) -> dict[str, JsonValue]:
    """One JSON object: UTF-8, no duplicate keys, finite numbers, no lone surrogates, no NUL."""
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except UnicodeDecodeError as error:
        raise RequestError(f"The body is not UTF-8: byte {error.start} is no text.") from None
    except RecursionError:
        raise RequestError(f"The body nests deeper than {bounds.depth} levels.") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestError(f"The body is not JSON: {error.msg} at {place}.") from None
    if not isinstance(value, dict):
        raise RequestError(f"The body must be a JSON object, not {type(value).__name__}.")
    _check_values(value, bounds)
    check_bounds(value, bounds)
    return value


def _require_json(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongMediaType("Content-Encoding is not supported; send the JSON uncompressed.")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/json" or (media.startswith("application/") and media[-5:] == "+json"):
        return
    from_a_browser = "origin" in request.headers or "sec-fetch-site" in request.headers
    if media in ("", "application/x-www-form-urlencoded") and not from_a_browser:
        return  # what ``curl -d`` sends; a foreign web page could send it too, and is refused
    raise WrongMediaType(
        f"Content-Type is {quote(media)}; send the JSON body as 'application/json'."
    )


async def _receive(request: Request, limit: int, pieces: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared[:20]) > limit:
        raise BodyTooLarge(f"The body has {declared[:20]} bytes; at most {limit} are accepted.")
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        parts.append(chunk)
        if size > limit:
            raise BodyTooLarge(f"The body has more than the {limit} bytes that are accepted.")
        if len(parts) > pieces:
            raise RequestError(f"The body came in more than {pieces} pieces.")
    return b"".join(parts)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise RequestError(f"The key {quote(twice)} appears twice in one object.")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise RequestError(f"{name} is not a JSON number.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise RequestError(f"The number {quote(text)} is too large.")
    return value


def _bounded(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise RequestError(f"The number {quote(text)} has more than {MAX_DIGITS} digits.")
    return int(text)


def _check_values(root: JsonValue, bounds: Bounds) -> None:
    level: list[JsonValue] = [root]
    items = 0
    for _ in range(bounds.depth):
        level = [child for value in level for child in _children(value)]
        if not level:
            return
        items += len(level)
        if items > bounds.items:
            raise RequestError(
                f"The body's lists and objects have more than the {bounds.items} entries that are "
                "accepted, names counted."
            )
    raise RequestError(f"The body nests deeper than {bounds.depth} levels.")


def _children(value: JsonValue) -> list[JsonValue]:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise RequestError("A text contains the character U+0000; remove it.")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise RequestError(
                "A text contains half a surrogate pair; send whole characters."
            ) from None
