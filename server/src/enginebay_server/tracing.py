"""Traces, through FastAPI's own support; off unless ``server.otlp_endpoint`` names a collector."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fastapi.telemetry import TelemetryConfig

from enginebay_core.api import ConfigError
from enginebay_server.gate import OPEN_PATHS

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

OFF: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,  # /metrics has them
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
UNTRACED: Final = OPEN_PATHS | {b"/metrics"}


@dataclass(frozen=True)
class Tracing:
    """``config`` is for FastAPI. ``close`` sends what is still to be sent, and may take seconds
    where the collector does not answer.
    """

    config: TelemetryConfig
    close: Callable[[], None] = lambda: None


def open_tracing(endpoint: str | None) -> Tracing:
    """A provider of the app's own, never the global one. Headers, sampling and attributes are
    the SDK's own ``OTEL_`` variables. Raises ConfigError where the SDK is not installed.
    """
    if endpoint is None:
        return Tracing(OFF)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "server.otlp_endpoint needs OpenTelemetry's SDK: pip install 'enginebay-server[otel]'"
        ) from None
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    on: TelemetryConfig = {"tracing": True, "tracer_provider": provider, "exclude": _untraced}
    return Tracing({**OFF, **on}, provider.shutdown)


def _resource() -> Resource:
    """``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` come first."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra

    version = importlib.metadata.version("enginebay-server")
    said = Resource.create({"service.version": version})
    if str(said.attributes["service.name"]).startswith("unknown_service"):
        return said.merge(Resource({"service.name": "enginebay"}))
    return said


def _untraced(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("raw_path") in UNTRACED
