"""One bad request, what may be answered to it, and the file format of collected ones."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHAT = "/v1/chat/completions"
LONGEST_ERROR = 32_000
"""Bytes that an answer to a bad request may have."""

REFUSED = frozenset({400})
UNHARMED = frozenset({200, 400})
"""Either is right, as long as nobody else notices."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """``raw`` goes to a bare socket as it is; else ``body`` in an HTTP request. ``{{model}}`` and
    the like stand in all texts until the request is sent. Status 0: closed without an answer.
    """

    id: str
    allowed: frozenset[int]
    path: str = CHAT
    method: str = "POST"
    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    raw: bytes | None = None
    chunked: bool = False
    repeat: int = 1
    first: bytes | None = None
    error_type: str | None = None
    longest: int = LONGEST_ERROR
    forbidden: str | None = None
    absent_file: str | None = None
    no_egress: bool = False
    procedure: str | None = None


def chat(id: str, allowed: frozenset[int] = REFUSED, /, **fields: Any) -> Case:
    """A chat with these fields. A value that is Ellipsis is a field left out."""
    body = {"model": "{{model}}", "messages": [{"role": "user", "content": "Say hi"}]}
    merged = {**body, "max_tokens": 4, **fields}
    sent = {name: value for name, value in merged.items() if value is not ...}
    return Case(id, allowed, body=json.dumps(sent).encode())


def completion(id: str, allowed: frozenset[int] = REFUSED, /, **fields: Any) -> Case:
    body = {"model": "{{model}}", "prompt": "Say hi", "max_tokens": 4, **fields}
    return Case(id, allowed, "/v1/completions", body=json.dumps(body).encode())


def collected() -> Iterator[Case]:
    """Of the file that ``ENGINEBAY_BAD_INPUTS`` names, or of the one beside the checkout."""
    beside = Path(__file__).parents[3] / "shared" / "cases" / "bad_inputs.json"
    file = Path(os.environ.get("ENGINEBAY_BAD_INPUTS", beside))
    if file.is_file():
        yield from map(_of_json, json.loads(file.read_text(encoding="utf-8")))


def _of_json(case: Json) -> Case:
    allowed = set(case["expect"]["status"])
    ignored = {200} if "vendor_param" in case else set()
    return Case(
        id=case["id"],
        allowed=frozenset(allowed | ignored),
        path=case["endpoint"],
        method=case.get("method", "POST"),
        body=_body(case),
        headers=case.get("headers") or {},
        raw=_raw(case),
        chunked=case.get("transfer") == "chunked",
        repeat=case.get("repeat", 1),
        first=_first(case),
        error_type=case["expect"].get("error_type"),
        longest=case.get("max_response_bytes", LONGEST_ERROR),
        forbidden=case.get("body_must_not_match"),
        absent_file=case.get("side_effect_absent"),
        no_egress=case.get("no_egress", False),
        procedure=case.get("procedure"),
    )


def _body(case: Json) -> bytes:
    if "body_base64" in case:
        return base64.b64decode(case["body_base64"])
    if "body_gen" in case:
        return _generated(case["body_gen"])
    body = case.get("body")
    if body is None:
        return b""
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def _raw(case: Json) -> bytes | None:
    if "raw_gen" in case:
        return _generated(case["raw_gen"])
    raw: str | None = case.get("raw")
    return raw.encode("latin-1") if raw is not None else None


def _first(case: Json) -> bytes | None:
    """What is sent before, so that a check of first uses alone is not enough."""
    before = re.match(r"grammar: (.*)", case.get("after") or "")
    if before is None:
        return None
    body = {**case["body"], "structured_outputs": {"grammar": before[1]}}
    return json.dumps(body).encode()


def _generated(made: Json) -> bytes:
    text = made["prefix"] + made["unit"] * made["count"] + made["suffix"]
    text += made.get("then_unit", "") * made["count"] + made.get("tail", "")
    return str(text).encode()
