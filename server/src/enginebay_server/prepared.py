"""A chat request as far as the engine: understood, and its prompt made."""

from __future__ import annotations

from dataclasses import dataclass, replace

from enginebay_core.api import Prompt
from enginebay_core.placement import RunningModel
from enginebay_server.admission import Admitted, admit
from enginebay_server.conversation import conversation_of
from enginebay_server.parsers import Dialect
from enginebay_server.prompt import PromptMaker, render
from enginebay_server.schema.chat import ChatRequest
from enginebay_server.tools import ToolUse, tool_use


@dataclass(frozen=True, slots=True)
class PreparedChat:
    """What every endpoint that takes messages goes on from."""

    admitted: Admitted
    tools: ToolUse
    prompt: Prompt


async def prepare_chat(
    fields: ChatRequest,
    model: RunningModel,
    dialect: Dialect,
    prompts: PromptMaker,
    *,
    reject_unknown: bool,
    opens_turn: bool = True,
) -> PreparedChat:
    """Raises RequestError for the first thing that cannot be done; no work of an engine is wasted
    on a bad request. ``opens_turn``: the prompt ends where the assistant is to go on.
    """
    admitted = admit(fields, model, reject_unknown=reject_unknown)

    def prepare() -> PreparedChat:
        tools = tool_use(fields, model, dialect)
        settled = admitted.without(tools.unheeded, reject=reject_unknown)
        conversation = conversation_of(fields, model.template, dialect, tools)
        prompt = render(replace(conversation, opens_turn=opens_turn), model)
        return PreparedChat(settled, tools, prompt)

    return await prompts.run(prepare)
