"""HEAD wherever GET is: what monitors and load balancers ask by."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute


def heads_of(routers: Iterable[APIRouter]) -> APIRouter:
    """The same endpoints; the HTTP server keeps their bodies to itself. The API's description
    leaves them out.
    """
    heads = APIRouter()
    for router in routers:
        for route in router.routes:
            if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
                heads.add_api_route(
                    route.path, route.endpoint, methods=["HEAD"], include_in_schema=False
                )
    return heads
