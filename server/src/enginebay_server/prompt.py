"""Text to ids, on threads of its own, so that a long prompt never holds up the event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from enginebay_core.api import (
    ContextLengthExceeded,
    Conversation,
    Message,
    Prompt,
    RequestError,
    Tokenizer,
)
from enginebay_core.placement import RunningModel
from enginebay_core.text import frame_of, open_streamer
from enginebay_server.logprobs import token_name

LONGEST_TOKEN: Final = 64
"""Characters per token that no sensible prompt reaches; more than this times the context is
refused unread."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a plain text becomes ids. ``control``: control tokens that it spells are meant.
    ``framed``: it gets the ids with which the tokenizer begins a text, as ``<s>``; ``closed``: and
    those with which it ends one.
    """

    control: bool
    framed: bool = True
    closed: bool = False

    def encode(self, text: str, tokenizer: Tokenizer) -> list[int]:
        ids = tokenizer.encode(text, control=self.control)
        if not self.framed:
            return ids
        frame = frame_of(tokenizer)
        return frame.around(ids) if self.closed else frame.begin(ids)


class PromptMaker:
    """Shared by all requests of a server; ``close`` it with the server."""

    def __init__(self, workers: int = 4) -> None:
        self.threads = ThreadPoolExecutor(workers, thread_name_prefix="prompt")

    async def run(self, work: Callable[[], T]) -> T:
        """What ``work`` makes on one of the threads, which may touch a tokenizer."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def encode(
        self, prompt: str | list[int], model: RunningModel, encoding: Encoding, param: str
    ) -> tuple[int, ...]:
        """The ids of a plain prompt; ids stay as they are. Raises RequestError for ids outside
        the vocabulary and for a text without any.
        """
        if isinstance(prompt, list):
            return check_ids(prompt, model, param)
        _require_length(len(prompt), model, param)
        return tuple(await self.run(lambda: encoding.encode(prompt, model.tokenizer)))

    async def spell(self, ids: list[int], model: RunningModel, param: str) -> str:
        """Their text, control tokens by their own. Raises RequestError as ``encode`` does."""
        check_ids(ids, model, param)
        return await self.run(lambda: spelled(model.tokenizer, ids))

    async def names(self, ids: Sequence[int], model: RunningModel) -> list[str]:
        """Each token by itself, as log probabilities show it."""
        return await self.run(lambda: [token_name(model.tokenizer, token) for token in ids])

    def close(self) -> None:
        """Does not wait for prompts in work; their requests are gone."""
        self.threads.shutdown(wait=False, cancel_futures=True)


def spelled(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    streamer = open_streamer(tokenizer, keep=frozenset(tokenizer.control.values()))
    return streamer.push(ids).text + streamer.flush().text


def render(conversation: Conversation, model: RunningModel) -> Prompt:
    """In the model's template. Raises RequestError. Takes long for a long one."""
    _require_length(sum(map(_length, conversation.messages)), model, "messages")
    if conversation.tools:
        _require_length(len(json.dumps(conversation.tools)), model, "tools")
    return model.tokenizer.render(conversation)


def _length(message: Message) -> int:
    called = sum(len(call.arguments) for call in message.tool_calls)
    return len(message.content or "") + len(message.reasoning or "") + called


def check_ids(ids: Sequence[int], model: RunningModel, param: str) -> tuple[int, ...]:
    """Raises RequestError for one that the model has not; none is negative."""
    highest = max(ids, default=0)
    vocab_size = model.generator.limits.vocab_size
    if highest >= vocab_size:
        raise RequestError(
            f"{param} has the token id {highest}; this model's ids go up to {vocab_size - 1}.",
            param=param,
        )
    return tuple(ids)


def _require_length(characters: int, model: RunningModel, param: str) -> None:
    limit = model.generator.limits.context_length
    if characters > limit * LONGEST_TOKEN:
        raise ContextLengthExceeded(
            f"This model's context is {limit} tokens; a prompt of {characters} characters is far "
            f"more than that, about {characters // 4} tokens. Shorten it.",
            param=param,
        )
