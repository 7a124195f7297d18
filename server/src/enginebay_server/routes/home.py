"""``GET /``: where one is, and how to go on."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from enginebay_server.page import read_page
from enginebay_server.service import Service
from enginebay_server.welcome import welcome

router = APIRouter()


@router.get("/")
async def home(request: Request) -> Response:
    """Plain text for a terminal; for a browser a page to chat on, which also explains."""
    service = Service.of(request)
    text = welcome(service.base_url, list(service.models.entries), needs_key=service.needs_key)
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse(text, headers={"Vary": "Accept"})
    page = read_page()
    headers = {
        "Vary": "Accept",
        "Content-Security-Policy": page.policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return HTMLResponse(page.html(text), headers=headers)
