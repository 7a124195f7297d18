"""Text to ids, on threads of its own, so that a long prompt never holds up the event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from enginebay_core.api import ContextLengthExceeded, Conversation, Message, RequestError
from enginebay_core.placement import RunningModel

LONGEST_TOKEN: Final = 64
"""Characters per token that no sensible prompt reaches; more than this times the context is
refused unread."""

T = TypeVar("T")


class PromptMaker:
    """Shared by all requests of a server; ``close`` it with the server."""

    def __init__(self, workers: int = 4) -> None:
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="prompt")

    async def render(
        self, converse: Callable[[], Conversation], model: RunningModel
    ) -> tuple[int, ...]:
        """The ids of the conversation that ``converse`` makes, in the model's template. Raises
        RequestError.
        """
        return await self._run(lambda: _render(converse(), model))

    async def encode(self, prompt: str | list[int], model: RunningModel) -> tuple[int, ...]:
        """The ids of a plain prompt, control tokens included: who writes a prompt by hand means
        them. Raises RequestError for ids outside the vocabulary.
        """
        if isinstance(prompt, list):
            return _checked(prompt, model.generator.limits.vocab_size)
        _require_length(len(prompt), model, "prompt")
        return tuple(await self._run(lambda: model.tokenizer.encode(prompt, control=True)))

    def close(self) -> None:
        """Does not wait for prompts in work; their requests are gone."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _render(conversation: Conversation, model: RunningModel) -> tuple[int, ...]:
    _require_length(sum(map(_length, conversation.messages)), model, "messages")
    if conversation.tools:
        _require_length(len(json.dumps(conversation.tools)), model, "tools")
    return model.tokenizer.render(conversation).ids


def _length(message: Message) -> int:
    called = sum(len(call.arguments) for call in message.tool_calls)
    return len(message.content or "") + len(message.reasoning or "") + called


def _checked(ids: list[int], vocab_size: int) -> tuple[int, ...]:
    highest = max(ids)
    if highest >= vocab_size:
        raise RequestError(
            f"prompt has the token id {highest}; this model's ids go up to {vocab_size - 1}.",
            param="prompt",
        )
    return tuple(ids)


def _require_length(characters: int, model: RunningModel, param: str) -> None:
    limit = model.generator.limits.context_length
    if characters > limit * LONGEST_TOKEN:
        raise ContextLengthExceeded(
            f"This model's context is {limit} tokens; a prompt of {characters} characters is far "
            "more than that. Shorten it.",
            param=param,
        )
