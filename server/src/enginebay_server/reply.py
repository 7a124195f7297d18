"""An answer to the response that carries it: one JSON, or a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from enginebay_server.admission import Admitted
from enginebay_server.answer import Answer
from enginebay_server.frames import Shape, dumps, dumps_large
from enginebay_server.presence import while_connected
from enginebay_server.schema.common import GenerationFields
from enginebay_server.service import Service
from enginebay_server.spans import about_answer
from enginebay_server.stream import EventStream, events
from enginebay_server.visit import Visit

ENCODE_ON_LOOP: Final = 1024
"""Answers of up to this many tokens become JSON at once."""


async def reply(
    request: Request,
    fields: GenerationFields,
    admitted: Admitted,
    answer: Answer,
    shape: Shape,
    *,
    keep_alive: float,
) -> Response:
    """Raises what made the generation fail, and ClientDisconnect; then nothing runs any more."""
    follow(request, answer)
    Visit.of(request).about = partial(about_answer, fields, admitted, answer)
    if fields.stream:
        frames = events(answer, shape, usage=fields.include_usage)
        stream = EventStream(frames, keep_alive, admitted.headers, shape.failure)
        await while_connected(request, stream.prime())
        return stream
    await while_connected(request, _collect(answer, shape))
    body = await encoded(shape.whole, answer.usage.completion_tokens)
    return Response(body, headers=admitted.headers, media_type="application/json")


def follow(request: Request, answer: Answer) -> None:
    """Whoever watches the request can see how far the answer is."""
    visit, service = Visit.of(request), Service.of(request)
    visit.usage, visit.first_token = lambda: answer.usage, lambda: answer.first_at
    answer.time_tokens(service.meters.of(answer.model).each_token)


def json_response(
    body: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    return Response(dumps(body), status, headers, "application/json")


async def encoded(body: Callable[[], object], tokens: int) -> bytes:
    """What ``body`` makes, as JSON, made where it holds up nobody: with log probabilities a long
    answer has thousands of entries for each kilobyte of text.
    """
    if tokens <= ENCODE_ON_LOOP:
        return dumps(body())
    return await asyncio.to_thread(lambda: dumps_large(body()))


async def _collect(answer: Answer, shape: Shape) -> None:
    async with aclosing(answer.deltas()) as deltas:
        async for delta in deltas:
            shape.add(delta)
