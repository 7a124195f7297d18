"""``GET /``: where one is, and how to go on."""

from __future__ import annotations

import html

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from enginebay_server.service import Service
from enginebay_server.welcome import welcome

router = APIRouter()

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>EngineBay</title>
<style>body{{max-width:46rem;margin:2rem auto;padding:0 1rem;font:16px system-ui}}
pre{{white-space:pre-wrap}}</style>
<h1>EngineBay</h1><pre>{text}</pre></html>
"""


@router.get("/")
async def home(request: Request) -> Response:
    """Plain text for a terminal, a small page for a browser."""
    service = Service.of(request)
    text = welcome(service.base_url, list(service.models.entries), needs_key=service.needs_key)
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(PAGE.format(text=html.escape(text)))
    return PlainTextResponse(text)
