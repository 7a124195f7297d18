"""A server that speaks OpenAI's API, ours or another's."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from enginebay_core.api import ConfigError, EngineBayError

_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!\Z)")
_TIMEOUT: Final = httpx.Timeout(600, connect=10)
"""Seconds; a long prompt may take minutes to its first token."""


class RemoteError(EngineBayError):
    """The server cannot be reached, refused, or broke off; in words for the person who asked."""


@dataclass(frozen=True, slots=True)
class Bit:
    """What one chunk of a streamed answer brought. ``tokens`` is the whole answer's count."""

    content: str = ""
    reasoning: str = ""
    tokens: int | None = None


class Remote:
    """Everything raises RemoteError. Interrupting a stream closes its connection, which stops
    the generation.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=_TIMEOUT,
            trust_env=not is_here(url),  # no proxy leads to oneself
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        cls: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def models(self) -> list[dict[str, Any]]:
        """As the server lists them."""
        with self._words():
            response = self._client.get(f"{self.url}/models")
        _require_success(response)
        try:
            listed = response.json()["data"]
            return [dict(model) for model in listed if model["id"]]
        except (ValueError, KeyError, TypeError):
            raise RemoteError(
                f"{self.url}/models does not answer as OpenAI's API does; the base URL usually "
                "ends in /v1"
            ) from None

    def answer(self, model: str, messages: Sequence[Mapping[str, str]]) -> Generator[Bit]:
        """The bits of a streamed answer, as they come. Close it to stop the generation."""
        body = {
            "model": model,
            "messages": list(messages),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        with (
            self._words(),
            self._client.stream("POST", f"{self.url}/chat/completions", json=body) as response,
        ):
            if not response.is_success:
                response.read()
            _require_success(response)
            for data in read_events(response.iter_bytes()):
                if data == "[DONE]":
                    return
                yield _bit(data)

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise RemoteError(
                f"nobody answers at {self.url} ({error}); start a server with: enginebay serve; "
                "or name the one that runs with --url"
            ) from None
        except httpx.TimeoutException:
            raise RemoteError(f"{self.url} took too long to answer") from None
        except httpx.HTTPError as error:
            raise RemoteError(f"the connection to {self.url} broke: {error}") from None


def is_here(url: str) -> bool:
    """Whether it is this machine. Raises ConfigError where ``url`` is none."""
    return _host(url) in ("localhost", "127.0.0.1", "::1")


def read_events(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of server-sent events (WHATWG HTML, section 9.2), wherever chunks break."""
    data: list[str] = []
    for line in _lines(chunks):
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []
    if data:  # a server that closed without the last empty line
        yield "\n".join(data)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Ends are CR LF, LF or CR, and nothing else that Unicode takes for one."""
    rest = b""
    for chunk in chunks:
        *whole, rest = _LINE_END.split(rest + chunk)
        yield from (line.decode("utf-8", "replace") for line in whole)
    yield rest.removesuffix(b"\r").decode("utf-8", "replace")


def _bit(data: str) -> Bit:
    try:
        chunk = json.loads(data)
        if chunk.get("error"):
            raise RemoteError(_error_text(chunk) or "the server broke the answer off")
        delta = (chunk.get("choices") or [{}])[0].get("delta") or {}
        usage = chunk.get("usage") or {}
        return Bit(
            delta.get("content") or "",
            delta.get("reasoning_content") or delta.get("reasoning") or "",
            usage.get("completion_tokens"),
        )
    except (ValueError, AttributeError, TypeError):
        raise RemoteError(f"the server sent a chunk that is none: {data[:200]!r}") from None


def _require_success(response: httpx.Response) -> None:
    if response.is_success:
        return
    try:
        said = _error_text(response.json())
    except ValueError:
        said = None
    hint = "; give the key with --key" if response.status_code == 401 else ""
    if response.status_code == 404 and said is None:
        hint = "; the base URL usually ends in /v1"
    raise RemoteError(f"{said or response.reason_phrase} (HTTP {response.status_code}{hint})")


def _error_text(body: Any) -> str | None:
    """OpenAI's ``{"error": {"message"}}``, and the shorter forms that others send."""
    error = body.get("error") if isinstance(body, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return said if isinstance(said, str) and said else None


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ConfigError(f"{url!r} is no base URL; it looks like http://127.0.0.1:8000/v1")
    return host
