"""Keys: who gets in, and where one is needed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from openai import AuthenticationError, OpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from tests.server.conftest import TOY, Config, Running, running

from enginebay_core.api import ConfigError
from enginebay_server.auth import KeyRing
from enginebay_server.config import ServerSettings
from enginebay_server.gate import OPEN_PATHS

KEY = "sk-correct horse"
HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Say hi"}]
CHAT = {"model": "toy", "messages": HELLO, "max_tokens": 1}


@pytest.fixture(scope="module")
def locked() -> Iterator[Running]:
    config: Config = {"server": {"api_key": KEY}, "models": {"toy": TOY}}
    with running(config) as server:
        yield server


def test_the_sdk_gets_in_with_the_key_only(locked: Running) -> None:
    with locked.client(KEY) as client:
        assert client.chat.completions.create(model="toy", messages=HELLO, max_tokens=1)
    with locked.client("wrong") as client, pytest.raises(AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Basic {KEY}",
        KEY,
        "Bearer café",
        "Bearer None",
    ],
)
def test_anything_else_is_kept_out(locked: Running, header: str | None) -> None:
    headers = {} if header is None else {b"Authorization": header.encode("latin-1")}
    answer = locked.http.get(locked.url + "/models", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"


def test_two_keys_at_once_are_none(locked: Running) -> None:
    pair = [("Authorization", f"Bearer {KEY}"), ("Authorization", "Bearer x")]
    assert locked.http.get(locked.url + "/models", headers=pair).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD", "DELETE", "PROPFIND"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/version",
        "/openapi.json",
        "/v1/models",
        "/v1/models/toy",
        "/v1/chat/completions",
        "/v1/completions",
        "//v1/models",
        "/v1/models/",
        "/V1/models",
        "/%76%31/models",
        "/health/",
        "/%68ealth",
        "/livez%20",
        "/health/../v1/models",
        "/health%2f..%2fv1/models",
        "/no/such/path",
    ],
)
def test_every_route_is_locked(locked: Running, method: str, path: str) -> None:
    request = httpx.Request(method, locked.root + "/")
    request.url = httpx.URL(locked.root).copy_with(raw_path=path.encode())
    assert locked.http.send(request).status_code == 401


def test_headers_of_proxies_and_hosts_open_nothing(locked: Running) -> None:
    headers = {
        "X-Forwarded-Prefix": "/health",
        "X-Original-URL": "/health",
        "X-Forwarded-For": "127.0.0.1",
        "Host": "localhost/health?",
    }
    assert locked.http.get(locked.url + "/models", headers=headers).status_code in (400, 401)


def test_health_needs_no_key_and_tells_nothing(locked: Running) -> None:
    for path in OPEN_PATHS:
        answer = locked.http.get(locked.root + path.decode())
        assert answer.status_code == 200
        assert answer.json() == {"status": "ok"}


def test_home_shows_that_a_key_is_needed_but_not_which(locked: Running) -> None:
    answer = locked.http.get(locked.root + "/", headers={"Authorization": f"Bearer {KEY}"})
    assert "YOUR_KEY" in answer.text
    assert KEY not in answer.text


def test_any_key_will_do_where_none_is_set(toys: Running) -> None:
    with OpenAI(base_url=toys.url, api_key="DUMMY_KEY") as client:
        assert list(client.models.list())


def test_a_file_of_keys(tmp_path: Path, start: Callable[[Config], Running]) -> None:
    file = tmp_path / "keys"
    file.write_text("# the team\nsk-one\n\nsk-two\n")
    server = start({"server": {"api_keys_file": str(file)}, "models": {"toy": TOY}})

    def status(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return server.post(CHAT, headers=headers).status_code

    assert [status(key) for key in ("sk-one", "sk-two", "# the team", "sk-")] == [
        200,
        200,
        401,
        401,
    ]


def test_a_file_of_keys_is_read_again(tmp_path: Path, start: Callable[[Config], Running]) -> None:
    """Written or replaced; and a digest stands for its key."""
    file = tmp_path / "keys"
    file.write_text("sk-one\n")
    server = start({"server": {"api_keys_file": str(file)}, "models": {"toy": TOY}})

    def statuses() -> list[int]:
        headers = [{"Authorization": f"Bearer {key}"} for key in ("sk-one", "sk-two")]
        return [server.http.get(server.url + "/models", headers=h).status_code for h in headers]

    assert statuses() == [200, 401]
    file.write_text(f"sha256:{hashlib.sha256(b'sk-two').hexdigest()}\n")
    wait_for(lambda: statuses() == [401, 200])
    file.unlink()
    time.sleep(1.1)
    assert statuses() == [401, 200], "a file that cannot be read changes nothing"
    file.write_text("# nobody\n")
    wait_for(lambda: statuses() == [401, 401])


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_keys_do_not_share_prompts(tmp_path: Path, start: Callable[[Config], Running]) -> None:
    """How quick an answer comes must not tell what somebody else has asked."""
    file = tmp_path / "keys"
    file.write_text("sk-one\nsk-two\n")
    server = start({"server": {"api_keys_file": str(file)}, "models": {"toy": TOY}})

    def cached(key: str) -> int:
        answer = server.post(CHAT, headers={"Authorization": f"Bearer {key}"}).json()
        count: int = answer["usage"]["prompt_tokens_details"]["cached_tokens"]
        return count

    assert [cached(key) > 0 for key in ("sk-one", "sk-one", "sk-two", "sk-one", "sk-two")] == [
        False,
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_off_loopback_a_key_is_needed(host: str) -> None:
    with pytest.raises(ConfigError, match="ENGINEBAY_SERVER__API_KEY"):
        KeyRing(ServerSettings(host=host))
    assert not KeyRing(ServerSettings(host=host, auth="none")).needed
    assert KeyRing(ServerSettings.model_validate({"host": host, "api_key": "x"})).needed


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_none_is_needed(host: str) -> None:
    assert not KeyRing(ServerSettings(host=host)).needed


@pytest.mark.parametrize("content", ["", "# only notes\n", None])
def test_a_keys_file_without_keys(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=r"server\.api_keys_file"):
        KeyRing(ServerSettings(api_keys_file=file))
