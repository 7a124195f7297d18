"""deploy/nginx.conf in front of a real server, in a real nginx."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.packaging.conftest import ROOT, free_port
from tests.server.conftest import TOY, Running, running

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
OPENSSL = shutil.which("openssl")
NAME = "llm.example.com"
KEY = "sk-proxy"
CHAT: dict[str, Any] = {
    "model": "slow",
    "messages": [{"role": "user", "content": "Say hi"}],
    "max_tokens": 60,
    "stream": True,
}

pytestmark = pytest.mark.skipif(
    NGINX is None or OPENSSL is None, reason="nginx and openssl are not installed here"
)


class Proxy:
    """nginx with the repository's config; only addresses and files are this test's own."""

    def __init__(self, server: Running, directory: Path) -> None:
        self.server = server
        self.port = free_port()
        self.log = directory / "access.log"
        self._directory = directory
        self._certify()
        (directory / "enginebay.conf").write_text(self._config())
        (directory / "nginx.conf").write_text(self._whole())
        command = [str(NGINX), "-p", str(directory), "-c", "nginx.conf", "-e", "error.log"]
        subprocess.run([*command, "-t"], check=True, capture_output=True)
        self.process = subprocess.Popen(command)
        context = ssl.create_default_context(cafile=str(directory / "cert.pem"))
        self.http = httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            verify=context,
            timeout=30,
            headers={"host": NAME, "authorization": f"Bearer {KEY}"},
        )

    def ask(self, method: str, path: str, **options: Any) -> httpx.Request:
        extensions = {"sni_hostname": NAME}
        return self.http.build_request(method, path, extensions=extensions, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.send(self.ask("GET", path, **options))

    def post(self, body: Any, **options: Any) -> httpx.Response:
        return self.http.send(self.ask("POST", "/v1/chat/completions", json=body, **options))

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(20)

    def _certify(self) -> None:
        subprocess.run(
            [
                *(str(OPENSSL), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
                *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"),
                *("-keyout", "key.pem", "-out", "cert.pem"),
            ],
            cwd=self._directory,
            check=True,
            capture_output=True,
        )

    def _config(self) -> str:
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        for said, ours in (
            ("server 127.0.0.1:8000;", f"server {self.server.root.removeprefix('http://')};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("/etc/ssl/enginebay/fullchain.pem", str(self._directory / "cert.pem")),
            ("/etc/ssl/enginebay/privkey.pem", str(self._directory / "key.pem")),
            ("/var/log/nginx/enginebay.log", str(self.log)),
        ):
            assert text.count(said) == 1, said
            text = text.replace(said, ours)
        return text

    def _whole(self) -> str:
        owner = "user root;" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = " ".join(f"{kind}_temp_path {kind};" for kind in kinds)
        return (
            f"{owner} daemon off; pid nginx.pid; worker_processes 1; events {{}} "
            f"http {{ {paths} include enginebay.conf; }}"
        )


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    models = {"slow": {**TOY, "options": {"step_seconds": 0.02}}}
    settings = {"api_key": KEY, "allowed_hosts": [NAME]}
    with running({"server": settings, "models": models}) as server:
        started = Proxy(server, tmp_path_factory.mktemp("nginx"))
        deadline = time.monotonic() + 20
        while not reachable(started):
            assert time.monotonic() < deadline, "nginx does not start"
            time.sleep(0.05)
        yield started
        started.stop()


def reachable(proxy: Proxy) -> bool:
    try:
        return proxy.get("/health").status_code == 200
    except httpx.ConnectError:
        return False


def test_a_stream_goes_out_as_it_comes(proxy: Proxy) -> None:
    came: list[float] = []
    answer = proxy.http.send(proxy.ask("POST", "/v1/chat/completions", json=CHAT), stream=True)
    for _ in answer.iter_raw():
        came.append(time.monotonic())
    assert answer.status_code == 200
    assert len(came) >= CHAT["max_tokens"] // 2, "pieces were put together"
    assert came[-1] - came[0] > 0.5 * CHAT["max_tokens"] * 0.02, "it was held back"


def test_a_request_is_found_by_its_id_in_both_logs(proxy: Proxy) -> None:
    sent = proxy.get("/v1/models", headers={"x-request-id": "mine-1"})
    made = proxy.post({**CHAT, "max_tokens": 0})
    assert (sent.status_code, made.status_code) == (200, 400)
    assert sent.headers["x-request-id"] == "mine-1"
    time.sleep(0.1)
    lines = proxy.log.read_text().splitlines()
    for answer in (sent, made):
        found = [line for line in lines if f"request_id={answer.headers['x-request-id']}" in line]
        assert len(found) == 1


def test_a_client_that_leaves_stops_its_generation(proxy: Proxy) -> None:
    body = {**CHAT, "max_tokens": 1500}
    answer = proxy.http.send(proxy.ask("POST", "/v1/chat/completions", json=body), stream=True)
    next(answer.iter_raw())
    assert proxy.server.working("slow")
    answer.close()
    proxy.server.wait_idle("slow", 2)


def test_what_the_server_refuses_comes_through(proxy: Proxy) -> None:
    wrong = {"authorization": "Bearer wrong"}
    assert proxy.get("/v1/models", headers=wrong).json()["error"]["code"] == "invalid_api_key"
    assert proxy.post({**CHAT, "model": "nobody"}).json()["error"]["code"] == "model_not_found"
    assert "enginebay_requests_total" in proxy.get("/metrics").text
    large = {**CHAT, "messages": [{"role": "user", "content": "x" * (17 << 20)}]}
    assert proxy.post(large).status_code == 413
