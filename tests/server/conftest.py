"""Real servers on free loopback ports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from openai import OpenAI

from enginebay_server.app import build_app
from enginebay_server.config import load_settings
from enginebay_server.models import ModelTable, State
from enginebay_server.run import Server, listen, url_of
from enginebay_server.service import Service

Config = Mapping[str, Any]

TOY: Config = {"backend": "toy", "model": "toy"}
TOYS: Config = {
    "server": {"shutdown_seconds": 0, "keep_alive_seconds": 0.2},
    "models": {
        "toy": {**TOY, "aliases": ["gpt-4o-mini"]},
        "slow": {**TOY, "options": {"step_seconds": 0.02}},
        "gone": {**TOY, "options": {"fail_load": True}},
        "never": {**TOY, "options": {"load_seconds": 3600}},
    },
}


@dataclass
class Running:
    """A server in a thread of this process, so that tests can look behind its wire."""

    url: str
    models: ModelTable
    server: Server
    thread: threading.Thread
    http: httpx.Client

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    @property
    def service(self) -> Service:
        app: Any = self.server.config.app
        service: Service = app.state.service
        return service

    def client(self, key: str = "any") -> OpenAI:
        return OpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=30)

    def post(self, body: Any, path: str = "/chat/completions", **options: Any) -> httpx.Response:
        return self.http.post(self.url + path, json=body, **options)

    def working(self, name: str) -> int:
        """Sequences that the engine of ``name`` runs or has waiting."""
        running = self.models.running(name)
        generator: Any = running.generator
        return int(generator.running + generator.waiting)

    def wait_idle(self, name: str, seconds: float = 1.0) -> float:
        """Seconds until the engine of ``name`` has nothing to do; fails after ``seconds``."""
        started = time.monotonic()
        while self.working(name):
            assert time.monotonic() - started < seconds, f"{name} still works"
            time.sleep(0.01)
        return time.monotonic() - started

    def stop(self) -> None:
        self.http.close()
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive(), "the server does not stop"


@contextmanager
def running(config: Config) -> Iterator[Running]:
    settings = load_settings(None, config)
    listener = listen(settings.server.model_copy(update={"port": 0}))
    url = url_of(settings.server, listener)
    models = ModelTable(settings.models)
    server = Server(build_app(settings.server, models, url), settings.server)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    http = httpx.Client(timeout=30, verify=False)  # making one that could verify takes long
    started = Running(url, models, server, thread, http)
    try:
        _wait_loaded(models)
        yield started
    finally:
        started.stop()


def _wait_loaded(models: ModelTable) -> None:
    """``never`` is one that loads for ever."""
    deadline = time.monotonic() + 150
    entries = [entry for name, entry in models.entries.items() if name != "never"]
    while any(entry.state is State.LOADING for entry in entries):
        assert time.monotonic() < deadline, "a model does not load"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def toys() -> Iterator[Running]:
    """Models ``toy`` (alias ``gpt-4o-mini``), ``slow`` (20 ms a token), ``gone`` (failed) and
    ``never`` (loading for ever).
    """
    with running(TOYS) as server:
        yield server


@pytest.fixture
def start() -> Iterator[Callable[[Config], Running]]:
    """Starts a server of one's own; it ends with the test."""
    open_servers = []

    def begin(config: Config) -> Running:
        manager = running(config)
        server = manager.__enter__()
        open_servers.append(manager)
        return server

    yield begin
    for manager in reversed(open_servers):
        manager.__exit__(None, None, None)


@pytest.fixture
def client(toys: Running) -> Iterator[OpenAI]:
    with toys.client() as opened:
        yield opened
