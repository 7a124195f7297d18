"""Traces as a collector gets them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from tests.server.conftest import TOY, Config, Running, running
from tests.server.test_logs import logged, of_request

from enginebay_core.api import ConfigError
from enginebay_server.logs import JsonLines
from enginebay_server.tracing import OFF, open_tracing

SECRET = "xylophone-secret"
CHAT: dict[str, Any] = {
    "model": "alias",
    "messages": [{"role": "user", "content": SECRET}],
    "max_tokens": 5,
    "temperature": 0.5,
    "stop": [SECRET],
}


class Collector:
    """Takes OTLP over HTTP; keeps spans and resources."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        self.bodies: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(self.path, body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = values(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def of(self, request_id: str) -> tuple[Span, dict[str, Any]]:
        """The one span of that request, and what it tells."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for span in list(self.spans):
                told = values(span.attributes)
                if told.get("enginebay.request_id") == request_id:
                    return span, told
            time.sleep(0.02)
        raise AssertionError(f"no span of {request_id}")


def values(attributes: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        kind = value.WhichOneof("value")
        if kind == "array_value":
            return [plain(one) for one in value.array_value.values]
        return getattr(value, kind)

    return {one.key: plain(one.value) for one in attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    started = Collector()
    yield started
    started.server.shutdown()
    started.server.server_close()


@pytest.fixture(scope="module")
def server(collector: Collector) -> Iterator[Running]:
    models = {
        "m": {**TOY, "aliases": ["alias"]},
        "broken": {**TOY, "options": {"raise_at_step": 3}},
        "vectors": {**TOY, "options": {"task": "embed"}},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with running({"server": {"otlp_endpoint": collector.url}, "models": models}) as started:
            yield started


def ask(server: Running, name: str, body: Any, path: str = "/chat/completions") -> Any:
    return server.post(body, path, headers={"x-request-id": name})


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_one_span(server: Running, collector: Collector, stream: bool) -> None:
    answer = ask(server, f"one-{stream}", {**CHAT, "stream": stream})
    span, told = collector.of(f"one-{stream}")
    assert span.name == "POST /v1/chat/completions"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "enginebay"
    assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == ("alias", "m")
    assert (told["gen_ai.request.temperature"], told["gen_ai.request.max_tokens"]) == (0.5, 5)
    assert told["gen_ai.request.stream"] is stream
    assert told["gen_ai.response.finish_reasons"] == ["length"]
    assert told["gen_ai.usage.output_tokens"] == 5
    assert told["gen_ai.usage.input_tokens"] > 0
    assert told["gen_ai.response.time_to_first_chunk"] > 0
    assert told["http.response.status_code"] == 200
    assert told["gen_ai.response.id"] in answer.text
    assert told["openai.response.system_fingerprint"] in answer.text
    assert collector.resource["service.name"] == "enginebay"


def test_what_failed_is_marked(server: Running, collector: Collector) -> None:
    ask(server, "bad", {**CHAT, "max_tokens": 0})
    span, told = collector.of("bad")
    assert (told["http.response.status_code"], span.status.code) == (400, Status.STATUS_CODE_UNSET)
    assert "gen_ai.usage.input_tokens" not in told
    answer = ask(server, "broken", {**CHAT, "model": "broken", "stream": True})
    span, told = collector.of("broken")
    assert (answer.status_code, told["error.type"]) == (200, "500")
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert told["gen_ai.usage.output_tokens"] > 0


def test_a_client_that_leaves_has_its_span_too(server: Running, collector: Collector) -> None:
    body = {**CHAT, "stream": True, "max_tokens": 1500, "stop": None}
    headers = {"x-request-id": "left"}
    url = server.url + "/chat/completions"
    with server.http.stream("POST", url, json=body, headers=headers) as answer:
        next(answer.iter_lines())
    _, told = collector.of("left")
    assert "gen_ai.response.finish_reasons" not in told


def test_vectors(server: Running, collector: Collector) -> None:
    ask(server, "vectors", {"model": "vectors", "input": "one"}, "/embeddings")
    _, told = collector.of("vectors")
    assert told["gen_ai.operation.name"] == "embeddings"
    assert (told["gen_ai.request.model"], told["gen_ai.usage.output_tokens"]) == ("vectors", 0)


def test_a_trace_goes_on_and_the_log_names_it(server: Running, collector: Collector) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"x-request-id": "on", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    with logged(JsonLines()) as lines:
        server.post(CHAT, headers=headers)
    span, _ = collector.of("on")
    assert span.trace_id.hex() == trace
    assert span.parent_span_id.hex() == "b7ad6b7169203331"
    assert [line["trace_id"] for line in of_request(lines, "on")] == [trace]


def test_nothing_that_was_said_and_no_probe_is_told(server: Running, collector: Collector) -> None:
    for path in ("/health", "/livez", "/metrics"):
        server.http.get(server.root + path)
    ask(server, "last", CHAT)
    collector.of("last")
    assert not any(SECRET.encode() in body for body in collector.bodies)
    paths = {values(span.attributes)["url.path"] for span in collector.spans}
    assert paths.isdisjoint({"/health", "/livez", "/metrics"})


def test_a_stop_sends_the_rest(
    start: Callable[[Config], Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    collector = Collector()
    with running({"server": {"otlp_endpoint": collector.url}, "models": {"m": TOY}}) as server:
        ask(server, "rest", {**CHAT, "model": "m"})
        assert not collector.spans
    collector.of("rest")
    collector.server.shutdown()
    collector.server.server_close()
    assert collector.resource["service.name"] == "mine"


def test_a_collector_that_is_away_costs_nobody_anything() -> None:
    config = {"server": {"otlp_endpoint": "http://127.0.0.1:9"}, "models": {"m": TOY}}
    with running(config) as server:
        assert ask(server, "away", {**CHAT, "model": "m"}).status_code == 200
        begun = time.monotonic()
    assert time.monotonic() - begun < 15


def test_off_by_default_and_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_tracing(None).config == OFF
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"enginebay-server\[otel\]"):
        open_tracing("http://localhost:4318")
