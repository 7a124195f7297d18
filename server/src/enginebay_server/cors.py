"""Web pages of other origins, where the config names them."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from enginebay_server.request_id import HEADER, request_id


class Cors(CORSMiddleware):
    """Starlette's. It answers a browser's preliminary request itself, before the gate, and names
    that answer too.
    """

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        response.headers[HEADER.decode()] = request_id(request_headers.raw)
        return response
