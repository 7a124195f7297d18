"""The JSON of a response, but for what it says."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from enginebay_server.admission import Admitted
from enginebay_server.answer import Answer
from enginebay_server.errors import WireError
from enginebay_server.schema.responses import FunctionTool, ResponseRequest


class ResponseBody:
    """Tells a request back as it was understood, as OpenAI does: the sampling parameters are those
    in force, the tools those that were offered to the model, and nothing is stored.
    """

    def __init__(self, fields: ResponseRequest, admitted: Admitted, answer: Answer) -> None:
        self._answer = answer
        self._told = {
            "id": answer.id,
            "object": "response",
            "created_at": answer.created,
            "model": answer.model,
            **_request(fields),
            "temperature": admitted.sampling.temperature,
            "top_p": fields.top_p if fields.top_p is not None else admitted.sampling.top_p,
        }

    def running(self) -> dict[str, Any]:
        return self._body("in_progress", ())

    def ended(self, finish: str | None, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """``finish`` is the answer's finish reason. The answer's usage must be known."""
        if finish == "length":
            cut = {"incomplete_details": {"reason": "max_output_tokens"}, "usage": self._usage()}
            return self._body("incomplete", output, **cut)
        done = {"completed_at": int(time.time()), "usage": self._usage()}
        return self._body("completed", output, **done)

    def failed(self, error: WireError, output: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The code is the one that OpenAI has for all that is the server's fault."""
        told = {"code": "server_error", "message": error.body()["error"]["message"]}
        return self._body("failed", output, error=told)

    def _body(
        self, status: str, output: Sequence[Mapping[str, Any]], **fields: Any
    ) -> dict[str, Any]:
        open_ends = {"error": None, "incomplete_details": None, "completed_at": None, "usage": None}
        return {**self._told, **open_ends, "status": status, "output": list(output), **fields}

    def _usage(self) -> dict[str, Any]:
        usage = self._answer.usage
        cached = {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0}
        return {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": cached,
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": self._answer.reasoning_tokens},
            "total_tokens": usage.total_tokens,
        }


def _request(fields: ResponseRequest) -> dict[str, Any]:
    choice = fields.tool_choice or "auto"
    parallel = fields.parallel_tool_calls
    return {
        "instructions": fields.instructions,
        "max_output_tokens": fields.max_output_tokens,
        "max_tool_calls": fields.max_tool_calls,
        "metadata": fields.metadata or {},
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": None,
        "prompt_cache_key": fields.prompt_cache_key,
        "reasoning": {
            "effort": fields.reasoning.effort if fields.reasoning else None,
            "summary": None,
        },
        "safety_identifier": fields.safety_identifier,
        "store": False,
        "text": _text(fields),
        "tool_choice": choice if isinstance(choice, str) else choice.model_dump(),
        "tools": [_tool(tool) for tool in fields.tools or () if isinstance(tool, FunctionTool)],
        "top_logprobs": fields.top_logprobs or 0,
        "truncation": "disabled",
        "background": False,
        "user": fields.user,
    }


def _text(fields: ResponseRequest) -> dict[str, Any]:
    wanted = fields.text.format if fields.text else None
    return {"format": wanted or {"type": "text"}, "verbosity": "medium"}


def _tool(tool: FunctionTool) -> dict[str, Any]:
    names = ("type", "name", "description", "parameters", "strict")
    return {name: getattr(tool, name) for name in names}
