"""What chat calls a part of a request, in the words of the response request that it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from enginebay_core.api import ContextLengthExceeded, RequestError

_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "messages": "input",
        "messages[].reasoning_content": "input[reasoning]",
        "max_completion_tokens": "max_output_tokens",
        "max_tokens": "max_output_tokens",
        "tools[].function": "tools[]",
        "tool_choice.function": "tool_choice",
        "tool_choice.allowed_tools": "tool_choice",
        "reasoning_effort": "reasoning.effort",
        "response_format": "text.format",
        "response_format.json_schema": "text.format",
        "verbosity": "text.verbosity",
        "logprobs": "include[message.output_text.logprobs]",
    }
)


class Names:
    """``places`` are the messages and tools of the chat, and where in the response request each
    was: ``messages[1].tool_calls[0].function`` is ``input[4]``.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        self._names = {**_FIELDS, **places}

    def of(self, param: str) -> str:
        """By the longest beginning that has another name."""
        for end in range(len(param), 0, -1):
            at_boundary = end == len(param) or param[end] in ".["
            if at_boundary and param[:end] in self._names:
                return self._names[param[:end]] + param[end:]
        return param

    @contextmanager
    def spoken(self) -> Iterator[None]:
        """Inside, a RequestError names fields as its client knows them."""
        try:
            yield
        except RequestError as error:
            text = str(error)
            if error.param is not None:
                text = text.replace(error.param, self.of(error.param))
                error.param = self.of(error.param)
            if isinstance(error, ContextLengthExceeded):
                text = text.replace("max_tokens", self.of("max_tokens"))
            error.args = (text,)
            raise
