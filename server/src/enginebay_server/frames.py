"""Deltas to the JSON of OpenAI's stream chunks, and whole answers to their JSON.

A stream makes one frame per token, so what is the same in all of them is encoded once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from enginebay_core.api import Usage
from enginebay_server.answer import Answer
from enginebay_server.call_json import call_delta, whole_calls
from enginebay_server.choice import Delta
from enginebay_server.errors import WireError
from enginebay_server.logprobs import Told, chat_logprobs, completion_logprobs
from enginebay_server.parsers import CallPart

BLOCK: Final = 1024
"""Plain values of a list that are encoded at once, in far less than a millisecond."""
DONE: Final = b"data: [DONE]\n\n"
_SEPARATORS: Final = ("\x85", "\u2028", "\u2029")
"""Line ends to Unicode-minded readers of a stream, so they are escaped in JSON."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Whole:
    """One choice, collected. ``logprobs`` is None where nobody asked."""

    content: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    finish: str | None = None
    logprobs: list[Told] | None = None
    calls: list[CallPart] = field(default_factory=list)

    def add(self, delta: Delta) -> None:
        self.content.append(delta.content)
        self.reasoning.append(delta.reasoning)
        self.finish = delta.finish
        for part in delta.calls:
            self._add_call(part)
        if delta.logprobs is not None:
            self.logprobs = self.logprobs or []
            self.logprobs += delta.logprobs

    def _add_call(self, part: CallPart) -> None:
        """The first part of each call comes first, and the calls in the order of their indexes."""
        if part.id:
            self.calls.append(part)
        else:
            begun = self.calls[part.index]
            self.calls[part.index] = replace(begun, arguments=begun.arguments + part.arguments)


class Shape(Protocol):
    """How one endpoint writes one answer: as frames of a stream, or whole."""

    def opening(self, index: int) -> bytes:
        """The frame before a choice's first delta; empty where there is none."""
        ...

    def frames(self, delta: Delta) -> bytes: ...

    def closing(self, usage: Usage | None) -> bytes:
        """The end of a stream; ``usage`` where it was asked for."""
        ...

    def failure(self, error: WireError) -> bytes:
        """The end of a stream whose answer failed after the first byte."""
        ...

    def add(self, delta: Delta) -> None:
        """Collect it for ``whole``."""
        ...

    def whole(self) -> dict[str, Any]: ...


def dumps(value: Any) -> bytes:
    """Compact JSON in UTF-8, safe inside a line of an event stream."""
    text = _encode(value)
    if not text.isascii():
        for separator in _SEPARATORS:
            text = text.replace(separator, f"\\u{ord(separator):04x}")
    return text.encode()


def dumps_large(value: Any, levels: int = 6) -> bytes:
    """The same, encoded bit by bit, so that on a thread of its own it lets others run."""
    if levels and isinstance(value, dict):
        items = (dumps(key) + b":" + dumps_large(one, levels - 1) for key, one in value.items())
        return b"{" + b",".join(items) + b"}"
    if levels and isinstance(value, list):
        return b"[" + b",".join(_bits(value, levels - 1)) + b"]"
    return dumps(value)


def _bits(values: list[Any], levels: int) -> Iterator[bytes]:
    """One by one where they are large themselves, else in blocks."""
    if values and isinstance(values[0], dict | list):
        yield from (dumps_large(one, levels) for one in values)
    else:
        for start in range(0, len(values), BLOCK):
            yield dumps(values[start : start + BLOCK])[1:-1]


def error_frame(error: WireError) -> bytes:
    """A failure after the first byte, then the end of the stream."""
    return b"data: " + dumps(error.body()) + b"\n\n" + DONE


def usage_body(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


class _Frames:
    """The parts that all chunks of one answer share."""

    def __init__(self, answer: Answer, kind: str) -> None:
        head = {"id": answer.id, "object": kind, "created": answer.created, "model": answer.model}
        if answer.fingerprint is not None:
            head["system_fingerprint"] = answer.fingerprint
        self._head = b"data: " + dumps(head)[:-1] + b',"choices":['
        self._before = [self._head + b'{"index":%d,' % choice.index for choice in answer.choices]
        self._collected = [Whole() for _ in answer.choices]

    def closing(self, usage: Usage | None) -> bytes:
        if usage is None:
            return DONE
        return self._head + b'],"usage":' + dumps(usage_body(usage)) + b"}\n\n" + DONE

    def failure(self, error: WireError) -> bytes:
        return error_frame(error)

    def add(self, delta: Delta) -> None:
        self._collected[delta.index].add(delta)


class ChatShape(_Frames):
    """``chat.completion`` and its chunks."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer, "chat.completion.chunk")
        self._answer = answer
        self._content = [before + b'"delta":{"content":' for before in self._before]

    def opening(self, index: int) -> bytes:
        delta = b'"delta":{"role":"assistant","content":""}'
        return self._before[index] + delta + b',"finish_reason":null}]}\n\n'

    def frames(self, delta: Delta) -> bytes:
        plain = delta.finish is None and delta.logprobs is None and not delta.calls
        if delta.content and not delta.reasoning and plain:
            text = dumps(delta.content)
            return self._content[delta.index] + text + b'},"finish_reason":null}]}\n\n'
        return self._uncommon(delta)

    def whole(self) -> dict[str, Any]:
        return {
            "id": self._answer.id,
            "object": "chat.completion",
            "created": self._answer.created,
            "model": self._answer.model,
            "system_fingerprint": self._answer.fingerprint,
            "choices": [_chat_choice(*numbered) for numbered in enumerate(self._collected)],
            "usage": usage_body(self._answer.usage),
        }

    def _uncommon(self, delta: Delta) -> bytes:
        frames = b""
        before = self._before[delta.index]
        if delta.reasoning:
            text = dumps(delta.reasoning)
            both = b'"delta":{"reasoning_content":' + text + b',"reasoning":' + text
            frames += before + both + b'},"finish_reason":null}]}\n\n'
        if delta.content:
            text = dumps(delta.content)
            told = _told(delta.logprobs)
            frames += self._content[delta.index] + text + b"}" + told
            frames += b',"finish_reason":null}]}\n\n'
        for part in delta.calls:
            call = dumps(call_delta(part))
            frames += before + b'"delta":{"tool_calls":[' + call + b']},"finish_reason":null}]}\n\n'
        if delta.finish:
            told = b"" if delta.content or not delta.logprobs else _told(delta.logprobs)
            finish = b',"finish_reason":' + dumps(delta.finish)
            frames += before + b'"delta":{}' + told + finish + b"}]}\n\n"
        return frames


class CompletionShape(_Frames):
    """``text_completion``, streamed or not. ``echoes`` are the texts that the choices begin with,
    one for each; none where nobody asked.
    """

    def __init__(self, answer: Answer, echoes: Sequence[str] = ()) -> None:
        super().__init__(answer, "text_completion")
        self._answer = answer
        self._echoes = echoes or [""] * len(answer.choices)

    def opening(self, index: int) -> bytes:
        echo = self._echoes[index]
        return self.frames(Delta(index, echo)) if echo else b""

    def frames(self, delta: Delta) -> bytes:
        text = dumps(delta.content)
        told = b"null" if delta.logprobs is None else dumps(completion_logprobs(delta.logprobs))
        finish = dumps(delta.finish)
        return (
            self._before[delta.index]
            + b'"text":'
            + text
            + (b',"logprobs":' + told + b',"finish_reason":' + finish + b"}]}\n\n")
        )

    def whole(self) -> dict[str, Any]:
        return {
            "id": self._answer.id,
            "object": "text_completion",
            "created": self._answer.created,
            "model": self._answer.model,
            "system_fingerprint": self._answer.fingerprint,
            "choices": [
                {
                    "index": index,
                    "text": self._echoes[index] + "".join(whole.content),
                    "logprobs": completion_logprobs(whole.logprobs),
                    "finish_reason": whole.finish,
                }
                for index, whole in enumerate(self._collected)
            ],
            "usage": usage_body(self._answer.usage),
        }


def _chat_choice(index: int, whole: Whole) -> dict[str, Any]:
    content = "".join(whole.content)
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    reasoning = "".join(whole.reasoning)
    if reasoning:
        message |= {"reasoning_content": reasoning, "reasoning": reasoning}
    if whole.calls:
        message |= {"content": content or None, "tool_calls": whole_calls(whole.calls)}
    return {
        "index": index,
        "message": message,
        "logprobs": chat_logprobs(whole.logprobs),
        "finish_reason": whole.finish,
    }


def _told(logprobs: Sequence[Told] | None) -> bytes:
    return b"" if logprobs is None else b',"logprobs":' + dumps(chat_logprobs(logprobs))
