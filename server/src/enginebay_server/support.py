"""Which request fields a loaded model honours, engine's and server's affair alike."""

from __future__ import annotations

from typing import Any

from enginebay_core.api import GENERATION_FIELDS, Capability, Support
from enginebay_core.placement import RunningModel
from enginebay_server.fields import REFUSED
from enginebay_server.parsers import Dialect
from enginebay_server.template_switches import THINKING
from enginebay_server.tool_choice import choices
from enginebay_server.tools import no_tools_reason


def request_support(model: RunningModel, dialect: Dialect) -> dict[str, dict[str, Any]]:
    """By field: ``support``, and ``maximum``, ``values`` or ``reason`` where there is one."""
    return {
        **{name: _refused(refusal.reason) for name, refusal in REFUSED.items()},
        **{name: _capability(model.capabilities.of(name)) for name in GENERATION_FIELDS},
        **_tools(model, dialect),
        **_thinking(model),
        **{
            f"chat_template_kwargs.{name}": _native()
            for name in sorted(dialect.switches - {"enable_thinking"})
        },
    }


def _tools(model: RunningModel, dialect: Dialect) -> dict[str, dict[str, Any]]:
    reason = no_tools_reason(model, dialect)
    if reason:
        return dict.fromkeys(("tools", "tool_choice", "parallel_tool_calls"), _refused(reason))
    return {
        "tools": _native(),
        "tool_choice": {**_native(), "values": list(choices(model, dialect))},
        "parallel_tool_calls": _native(),
    }


def _thinking(model: RunningModel) -> dict[str, dict[str, Any]]:
    none = "this model's chat template has no switch for thinking"
    return dict.fromkeys(
        ("reasoning_effort", THINKING), _native() if model.template.thinking else _refused(none)
    )


def _native() -> dict[str, Any]:
    return {"support": Support.NATIVE.value}


def _refused(reason: str) -> dict[str, Any]:
    return {"support": Support.REFUSED.value, "reason": reason}


def _capability(capability: Capability) -> dict[str, Any]:
    described: dict[str, Any] = {"support": capability.support.value}
    if capability.maximum is not None:
        described["maximum"] = capability.maximum
    if capability.reason and capability.support is Support.REFUSED:
        described["reason"] = capability.reason
    return described
