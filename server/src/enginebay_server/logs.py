"""Lines of the log: text for people, or one JSON object each for machines."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from typing import Any, Final, Literal

from opentelemetry import trace
from starlette.types import Scope

from enginebay_server.visit import NOTHING, Visit

LogFormat = Literal["text", "json"]

LONGEST_PATH: Final = 200
QUIET_PATHS: Final = frozenset({b"/metrics"})
"""Asked so often that they would drown everything else, unless they fail."""

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What any record has; all else was given as ``extra``."""

log = logging.getLogger(__name__)


def configure_logging(form: LogFormat) -> None:
    """One line per event on stderr, for this process's whole life."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


class TextLines(logging.Formatter):
    """The message, then its fields as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        told = (f" {name}={_word(value)}" for name, value in fields(record).items())
        return super().formatMessage(record) + "".join(told)


class JsonLines(logging.Formatter):
    """Everything in one object; whatever JSON does not know is written as Python would."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in fields(record).items():
            line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=repr)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given with the record, and whose request it is about."""
    found = {name: value for name, value in vars(record).items() if name not in _OWN}
    visit = Visit.current()
    if visit is not None:
        found["request_id"] = visit.id
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        found["trace_id"] = trace.format_trace_id(context.trace_id)
    return found


def log_request(visit: Visit, scope: Scope) -> None:
    """One line for a request that has ended; nothing of what it said or was told."""
    quiet = scope["raw_path"] in QUIET_PATHS and visit.status < 400
    if not quiet and log.isEnabledFor(logging.INFO):
        log.info("request", extra={**_asked(scope), "status": visit.status, **_done(visit)})


def _asked(scope: Scope) -> dict[str, Any]:
    """The path as it was sent, escaped: no query, which may hold anything."""
    path = ascii(scope["raw_path"].decode("latin-1"))[1:-1]
    client = scope["client"]
    return {
        "method": scope["method"],
        "path": path[:LONGEST_PATH],
        **({"client": client[0]} if client else {}),
    }


def _done(visit: Visit) -> dict[str, Any]:
    usage, first = visit.usage(), visit.first_token()
    told: dict[str, Any] = {"seconds": round(time.monotonic() - visit.begun, 4)}
    if visit.tenant:
        told["key"] = visit.tenant[:8]
    if visit.model:
        told["model"] = visit.model
    if first is not None:
        told["first_token_seconds"] = round(first - visit.begun, 4)
    if usage is not NOTHING:
        told["prompt_tokens"] = usage.prompt_tokens
        told["cached_tokens"] = usage.cached_tokens
        told["completion_tokens"] = usage.completion_tokens
    return told


def _word(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and text and " " not in text else repr(text)
