"""/metrics: what has happened is counted, under the right names; what nobody knows is absent."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.server.conftest import TOY, Config, Running, running

KEY = "sk-metrics"
LABELS = {"model": "m", "backend": "toy"}
CHAT: dict[str, Any] = {
    "model": "alias",
    "messages": [{"role": "user", "content": "Tell the one about the long way home, would you?"}],
    "max_tokens": 12,
}
CHATS = {"endpoint": "/v1/chat/completions"}
HISTOGRAMS = (
    "enginebay_request_duration_seconds",
    "enginebay_time_to_first_token_seconds",
    "enginebay_time_per_output_token_seconds",
)


class Scrape:
    """Samples by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = {one.name: one for one in text_string_to_metric_families(text)}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.samples.get((name, frozenset({**LABELS, **labels}.items())))


def scrape(server: Running, **headers: str) -> Scrape:
    answer = server.http.get(server.root + "/metrics", headers=headers)
    assert answer.status_code == 200
    return Scrape(answer.text)


def ended(server: Running, status: int, model: str = "m", **labels: str) -> float:
    wanted = {**CHATS, "model": model, "backend": "toy" if model else "", "status": str(status)}
    return scrape(server)("enginebay_requests_total", **{**wanted, **labels}) or 0


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    models = {
        "m": {**TOY, "aliases": ["alias"]},
        "slow": {**TOY, "options": {"step_seconds": 0.02, "max_sequences": 2}},
        "gone": {**TOY, "options": {"fail_load": True}},
        "vectors": {**TOY, "options": {"task": "embed"}},
    }
    with running({"models": models}) as started:
        yield started


def test_an_answer_is_counted_once_and_in_whole(server: Running) -> None:
    before = scrape(server)
    usage = server.post(CHAT).json()["usage"]
    server.post({**CHAT, "stream": True})
    _until(lambda: ended(server, 200) == 2)
    after = scrape(server)

    def grown(name: str, **labels: str) -> float:
        return (after(name, **labels) or 0) - (before(name, **labels) or 0)

    assert grown("enginebay_requests_total", **CHATS, status="200") == 2
    assert grown("enginebay_tokens_total", kind="prompt") == 2 * usage["prompt_tokens"]
    assert (
        grown("enginebay_tokens_total", kind="completion") == 2 * usage["completion_tokens"] == 24
    )
    assert grown(HISTOGRAMS[0] + "_count") == grown(HISTOGRAMS[1] + "_count") == 2
    assert grown(HISTOGRAMS[2] + "_count") == 22  # gaps lie between tokens
    assert grown("enginebay_prefix_asked_tokens_total") == 2 * usage["prompt_tokens"]
    found = grown("enginebay_prefix_found_tokens_total")
    assert usage["prompt_tokens"] - 1 <= found < 2 * usage["prompt_tokens"]


def test_histograms_add_up(server: Running) -> None:
    server.post(CHAT)
    now = scrape(server)
    for name in HISTOGRAMS:
        buckets = [
            (float(sample.labels["le"]), sample.value)
            for sample in now.families[name].samples
            if sample.name.endswith("_bucket") and sample.labels["model"] == "m"
        ]
        assert buckets == sorted(buckets)
        assert [count for _, count in buckets] == sorted(count for _, count in buckets)
        assert buckets[-1] == (float("inf"), now(name + "_count"))
        total = now(name + "_sum")
        assert total is not None
        assert 0 < total < 60


def test_what_is_under_way_shows_before_it_ends(server: Running) -> None:
    body = {**CHAT, "model": "slow", "stream": True, "max_tokens": 400, "n": 3}
    slow = {"model": "slow"}
    with server.http.stream("POST", server.url + "/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        for _ in range(12):
            next(lines)
        now = scrape(server)
        assert now("enginebay_requests_in_flight", **slow) == 1
        assert now("enginebay_sequences_running", **slow) == 2
        assert now("enginebay_sequences_waiting", **slow) == 1
        used = now("enginebay_kv_used_ratio", **slow)
        assert used is not None
        assert 0 < used <= 1
        told = now("enginebay_tokens_total", kind="completion", **slow)
        assert told
    _until(lambda: ended(server, 499, "slow") == 1)
    server.wait_idle("slow")
    now = scrape(server)
    assert now("enginebay_requests_in_flight", **slow) == 0
    assert now("enginebay_kv_used_ratio", **slow) == 0
    assert (now("enginebay_kv_kept_ratio", **slow) or 0) > 0
    assert (now("enginebay_tokens_total", kind="completion", **slow) or 0) >= told


@pytest.mark.parametrize(
    ("body", "status", "model"),
    [
        ({**CHAT, "model": "nobody"}, 404, ""),
        ({**CHAT, "max_tokens": 0}, 400, ""),
        ({**CHAT, "max_tokens": 1_000_000}, 400, "m"),
        ({**CHAT, "model": "gone"}, 503, "gone"),
    ],
)
def test_what_is_refused_is_counted_too(
    server: Running, body: dict[str, Any], status: int, model: str
) -> None:
    before = ended(server, status, model)
    assert server.post(body).status_code == status
    assert ended(server, status, model) == before + 1


def test_a_client_cannot_make_up_labels(server: Running) -> None:
    series = len(scrape(server).samples)
    for number in range(5):
        server.http.get(f"{server.root}/made/up/{number}")
        server.post({**CHAT, "model": f"made up {number}"})
        server.http.get(f"{server.url}/models/{number}", headers={"x-request-id": f"id{number}"})
    assert len(scrape(server).samples) <= series + 3
    assert "made" not in server.http.get(server.root + "/metrics").text


def test_the_state_of_each_model(server: Running) -> None:
    now = scrape(server)
    ready = {name: now("enginebay_model_ready", model=name) for name in ("m", "gone", "vectors")}
    assert ready == {"m": 1, "gone": 0, "vectors": 1}
    assert now("enginebay_kv_used_ratio", model="vectors") is None, "it has no KV"
    assert now("enginebay_sequences_running", model="vectors") == 0
    assert now("enginebay_restarts_total") is None, "it has no process of its own"
    assert now("enginebay_sequences_running", model="gone") is None


def test_vectors_are_counted(server: Running) -> None:
    answer = server.post({"model": "vectors", "input": ["one", "two"]}, "/embeddings").json()
    now = scrape(server)
    tokens = now("enginebay_tokens_total", model="vectors", kind="prompt")
    assert tokens == answer["usage"]["prompt_tokens"] > 0
    labels = {"model": "vectors", "endpoint": "/v1/embeddings", "status": "200"}
    assert now("enginebay_requests_total", **labels) == 1


def test_openmetrics_where_it_is_asked_for(server: Running) -> None:
    headers = {"accept": "application/openmetrics-text; version=1.0.0"}
    answer = server.http.get(server.root + "/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    plain = server.http.get(server.root + "/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert "process_resident_memory_bytes" in plain.text


def test_a_key_is_needed_once_there_is_one(start: Callable[[Config], Running]) -> None:
    locked = start({"server": {"api_key": KEY}, "models": {"m": TOY}})
    assert locked.http.get(locked.root + "/metrics").status_code == 401
    assert locked.http.options(locked.root + "/metrics").status_code == 401
    assert scrape(locked, authorization=f"Bearer {KEY}")("enginebay_model_ready") == 1


def test_two_servers_in_one_process_count_apart(start: Callable[[Config], Running]) -> None:
    first, second = (start({"models": {"m": TOY}}) for _ in range(2))
    first.post({**CHAT, "model": "m"})
    assert (ended(first, 200), ended(second, 200)) == (1, 0)


def test_a_model_in_a_process_of_its_own(start: Callable[[Config], Running]) -> None:
    server = start({"models": {"m": {**TOY, "placement": "process"}}})
    generator: Any = server.models.running("m").generator
    for _ in range(2):
        server.post({**CHAT, "model": "m"})
    _until(lambda: bool(scrape(server)("enginebay_prefix_found_tokens_total")))
    now = scrape(server)
    assert (now("enginebay_restarts_total"), now("enginebay_sequences_running")) == (0, 0)
    os.kill(generator.supervisor.pid, signal.SIGKILL)
    _until(lambda: scrape(server)("enginebay_model_ready") == 0)
    _until(lambda: scrape(server)("enginebay_model_ready") == 1)
    assert scrape(server)("enginebay_restarts_total") == 1


def test_health_is_not_counted(server: Running) -> None:
    for path in ("/health", "/livez"):
        assert httpx.get(server.root + path).status_code == 200
        assert path not in server.http.get(server.root + "/metrics").text


def _until(happened: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
