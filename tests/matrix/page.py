"""Writes what was found as a page; the same findings make the same page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.matrix.cases import BACKENDS
from tests.matrix.table import Cell, Row
from tests.matrix.vectors import EMBEDDERS

from enginebay_server.fields import REFUSED

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "matrix.md"

HEAD: Final = """# The contract matrix

What each backend does of a request, and that it was proved. `make matrix` writes this page: it runs
[the contract kit](contract-kit.md) on every backend below, in both placements, and asks a server
with all of them over HTTP. Where something is claimed and cannot be proved, the cell says so and
the command fails.

| word | meaning |
|---|---|
| native | the engine, core's scheduler and sampler, or the server do it |
| emulated | core does it around the engine's own scheduler; `x-enginebay-emulated` says so |
| refused | a client that sends it gets a 400 that names it; this was tried, too |
| **failed** | a check that proves it failed |
| **unproved** | it is claimed, and no check could run |

A loaded model says the same of itself, at run time: `GET /v1/models/NAME`."""

ENGINE: Final = """## What the engine must do

Proved by the kit's witnesses: each asserts a field's defined effect, worked out by the reference
sampler or true by definition."""

SERVER: Final = """## What the server does

Proved over HTTP: the whole way from the request's JSON to the answer's. The toy's chat template
knows neither tools nor thinking, so there they are refused."""

VECTORS: Final = """## Vectors

`POST /v1/embeddings`, of a model that makes vectors; see [embeddings](embeddings.md). Proved
against vectors worked out by hand."""

WHY: Final = "## Why a backend refuses"

NOBODY: Final = """## What nobody does

Refused alike in front of every backend."""

RAN: Final = """## What was run

Each in both placements, `inline` and `process`, in float32. The models beside `pocket` and the toy
are tiny random ones with its tokenizer, made for the run."""


def render(
    engine: Sequence[Row],
    server: Sequence[Row],
    vectors: Row,
    reasons: Mapping[str, Mapping[str, str]],
    ran: Mapping[tuple[str, str], bool],
) -> str:
    """``reasons`` are by backend and field; ``ran`` says of backend and model whether all was
    proved.
    """
    blocks = [HEAD, ENGINE, table(["field"], [([code(row.field)], row.cells) for row in engine])]
    blocks += [SERVER, table(["route", "field"], named(server))]
    blocks += [VECTORS, table(["route"], [([code(vectors.route)], vectors.cells)])]
    blocks += [WHY, why(reasons), NOBODY, nobody(), RAN, what_ran(ran)]
    return "\n\n".join(blocks) + "\n"


def named(rows: Iterable[Row]) -> list[tuple[list[str], tuple[Cell, ...]]]:
    return [([code(row.route), code(row.field)], row.cells) for row in rows]


def table(titles: Sequence[str], rows: Iterable[tuple[Sequence[str], Sequence[Cell]]]) -> str:
    columns = [*titles, *(code(name) for name in BACKENDS)]
    return lines(columns, [[*names, *(str(cell) for cell in cells)] for names, cells in rows])


def why(reasons: Mapping[str, Mapping[str, str]]) -> str:
    found = [
        [code(backend), code(field), reason]
        for backend in BACKENDS
        for field, reason in sorted(reasons.get(backend, {}).items())
    ]
    return lines(["backend", "field", "reason"], found)


def nobody() -> str:
    known = [[code(name), refusal.reason] for name, refusal in sorted(REFUSED.items())]
    return lines(["field", "what to do instead, or why"], known)


def what_ran(ran: Mapping[tuple[str, str], bool]) -> str:
    found = []
    for backend in BACKENDS:
        models = [(model, proved) for (name, model), proved in ran.items() if name == backend]
        shown = [model if proved else f"{model} **failed**" for model, proved in models]
        found.append([code(backend), "generator", ", ".join(shown)])
    found += [[code(name), "embedder", f"those of `{file}`"] for name, file in EMBEDDERS.items()]
    return lines(["backend", "contract", "models"], found)


def lines(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    shown = [titles, ["---"] * len(titles), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in shown
    )


def code(name: str) -> str:
    return ", ".join(f"`{part}`" for part in name.split(", "))
