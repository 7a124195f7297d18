"""All backends behind one server, and what the witnesses find there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from tests.matrix.cases import BUNDLED, OPTIONS
from tests.matrix.table import Cell, Row
from tests.matrix.wire import QUESTION, WEATHER, Wire
from tests.matrix.witnesses import CHAT, COMPLETIONS, WITNESSES
from tests.server.conftest import running

from enginebay_core.api import GENERATION_FIELDS
from enginebay_server.fields import REFUSED

SAMPLES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "max_tokens": {"max_tokens": 5},
        "min_tokens": {"min_tokens": 1},
        "stop": {"stop": ["x"]},
        "ignore_eos": {"ignore_eos": True},
        "temperature": {"temperature": 0.5},
        "top_p": {"top_p": 0.5},
        "top_k": {"top_k": 5},
        "min_p": {"min_p": 0.5},
        "presence_penalty": {"presence_penalty": 1},
        "frequency_penalty": {"frequency_penalty": 1},
        "repetition_penalty": {"repetition_penalty": 2},
        "logit_bias": {"logit_bias": {"5": 1}},
        "seed": {"seed": 1},
        "n": {"n": 2},
        "logprobs": {"logprobs": True},
        "top_logprobs": {"logprobs": True, "top_logprobs": 2},
        "response_format": {"response_format": {"type": "json_object"}},
        "tool_choice": {"messages": QUESTION, "tools": [WEATHER], "tool_choice": "required"},
    }
)
"""What asks for each field that depends on the engine."""

Fault = Callable[[str], None]


@contextmanager
def served(backends: Iterable[str]) -> Iterator[dict[str, Wire]]:
    """The bundled model on each, where a user's config would run it."""
    models = {
        name: {
            "backend": name,
            "model": "toy" if name == "toy" else BUNDLED,
            "options": dict(OPTIONS[name]),
        }
        for name in backends
    }
    with running({"models": models}) as server:
        yield {name: _wire(server, name) for name in models}


def _wire(server: Any, name: str) -> Wire:
    card = server.http.get(f"{server.url}/models/{name}").json()
    assert "capabilities" in card, f"{name} does not serve: {server.models.entry(name).reason}"
    return Wire(server, name, card["capabilities"])


def server_rows(wires: Mapping[str, Wire], fault: Fault) -> list[Row]:
    rows = []
    for witness in WITNESSES:
        cells = []
        for name, wire in wires.items():
            what = f"{witness.route} {witness.label} on {name}"
            proved = holds(partial(witness.prove, wire), what, fault)
            cells.append(Cell(witness.support(wire), "proved" if proved else "failed"))
        rows.append(Row(witness.route, witness.label, tuple(cells)))
    return rows


def refusals(wires: Mapping[str, Wire], fault: Fault) -> dict[tuple[str, str], bool]:
    """Of each field that an engine refuses: whether the server does."""
    found = {}
    for field in GENERATION_FIELDS:
        for name, wire in wires.items():
            if refuses(wire, field):
                check = partial(wire.expect_refused, "/chat/completions", SAMPLES[field])
                found[field, name] = holds(check, f"refusal of {field} on {name}", fault)
    return found


def refuses(wire: Wire, field: str) -> bool:
    """A model whose engine keeps to no grammar still takes the choices that force nothing."""
    row = wire.support[field]
    free = field == "tool_choice" and "required" not in row.get("values", ())
    return free or row["support"] == "refused"


def refused_by_all(wire: Wire) -> None:
    """What no model does, wherever it is sent."""
    for name in REFUSED:
        begun = {"prompt": "x"} if name == "response_format" else {}
        route = COMPLETIONS if begun else CHAT
        sent = {**begun, name: {"any": "thing"}}
        wire.expect_refused(route.removeprefix("/v1"), sent)


def holds(check: Callable[[], None], what: str, fault: Fault) -> bool:
    try:
        check()
    except Exception as error:  # whatever a witness stumbles over, it did not prove
        fault(f"{what}: {type(error).__name__}: {error}")
        return False
    return True
