"""Exceptions to responses, for the whole app."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from enginebay_core.api import EngineBayError
from enginebay_core.plugins.suggest import suggest
from enginebay_server.errors import INVALID, BodyTooLarge, WireError, quote, wire_error
from enginebay_server.reply import json_response
from enginebay_server.routes.absent import not_yet
from enginebay_server.visit import CLIENT_LEFT


def add_handlers(app: FastAPI) -> None:
    """Everything that can go wrong leaves in OpenAI's shape."""
    app.add_exception_handler(EngineBayError, _foreseen)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _nobody_there)
    app.add_exception_handler(Exception, _unforeseen)


async def _foreseen(request: Request, error: Exception) -> Response:
    response = _response(wire_error(error))
    if isinstance(error, BodyTooLarge):
        response.headers["Connection"] = "close"  # rather than read the rest of it
    return response


async def _unforeseen(request: Request, error: Exception) -> Response:
    return _response(wire_error(error))  # uvicorn logs the trace


async def _nobody_there(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)


async def _http(request: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    headers = dict(known.headers or {})
    if known.status_code == 404:
        message, code = _not_found(request), "unknown_url"
    elif known.status_code == 405:
        allowed = headers.get("Allow", "another method")
        message = f"{request.method} is not allowed on {quote(request.url.path)}; use {allowed}."
        code = "method_not_allowed"
    else:
        message, code = str(known.detail), ""
    return _response(WireError(known.status_code, message, INVALID, None, code or None, headers))


def _not_found(request: Request) -> str:
    path = request.scope["path"]
    words = not_yet(path)
    if words is not None:
        return f"{quote(path)}: {words}"
    routes = [route for route in request.app.openapi()["paths"] if "{" not in route]
    near = _meant(path, routes)
    hint = f"did you mean {near}?" if near else "the API is under /v1."
    return f"There is no {quote(path)} here; {hint}"


def _meant(path: str, routes: list[str]) -> str | None:
    """The route that ends as ``path`` does, whatever was put before or doubled; else one that
    begins so; else the nearest in spelling.
    """
    parts = [part for part in path.lower().split("/") if part and part != "v1"]
    wanted = "/v1/" + "/".join(parts)
    if wanted in routes:
        return wanted
    ending = [route for route in routes if route != "/" and wanted.endswith(route[3:])]
    if ending:
        return max(ending, key=len)
    beginning = [route for route in routes if parts and route.startswith(wanted)]
    if beginning:
        return min(beginning, key=len)
    names = {route.removeprefix("/v1").strip("/"): route for route in routes}
    near = suggest("/".join(parts)[:200], names)
    return names[near] if near else None


def _response(error: WireError) -> Response:
    return json_response(error.body(), status=error.status, headers=dict(error.headers))
