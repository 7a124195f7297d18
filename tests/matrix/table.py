"""What was claimed and what was proved, field by field and backend by backend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tests.matrix.cases import BACKENDS
from tests.matrix.kit import Outcome

from enginebay_core.api import GENERATION_FIELDS

Proof = Literal["proved", "failed", "unproved"]
WORST_FIRST: Final[tuple[Proof, ...]] = ("failed", "unproved", "proved")


@dataclass(frozen=True, slots=True)
class Cell:
    """``limit`` is a bound of the field, in words."""

    support: str
    proof: Proof
    limit: str = ""

    def __str__(self) -> str:
        told = f"{self.support}, {self.limit}" if self.limit else self.support
        return told if self.proof == "proved" else f"{told}, **{self.proof}**"


@dataclass(frozen=True, slots=True)
class Row:
    """``cells`` in the order of the columns."""

    route: str
    field: str
    cells: tuple[Cell, ...]

    @property
    def proved(self) -> bool:
        return all(cell.proof == "proved" for cell in self.cells)


def engine_rows(outcomes: Sequence[Outcome], refusals: Mapping[tuple[str, str], bool]) -> list[Row]:
    """One row for each field that depends on the engine. ``refusals`` says, of a field and a
    backend that refuses it, whether the server was seen to.
    """
    return [
        Row(
            "", name, tuple(_engine_cell(name, backend, outcomes, refusals) for backend in BACKENDS)
        )
        for name in GENERATION_FIELDS
    ]


def _engine_cell(
    name: str,
    backend: str,
    outcomes: Iterable[Outcome],
    refusals: Mapping[tuple[str, str], bool],
) -> Cell:
    """As well proved as on the model where it is worst."""
    found = [one.fields[name] for one in outcomes if one.case.backend == backend and one.fields]
    if not found:
        return Cell("?", "unproved")
    claims = {field["claimed"] for field in found}
    if claims == {"refused"}:
        return Cell("refused", "proved" if refusals.get((name, backend)) else "failed")
    worst = min((field["proof"] for field in found), key=_badness)
    limits = {field["detail"] for field in found if field["proof"] == "proved"}
    return Cell(" or ".join(sorted(claims)), worst, "; ".join(sorted(limits - {""})))


def _badness(proof: Proof) -> int:
    return WORST_FIRST.index(proof)
