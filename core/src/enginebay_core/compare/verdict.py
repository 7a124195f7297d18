"""Whether two answers to one question are the same, part by rounding, or differ for real.

The first model's answer is the path: the second is led along it, so that one early difference does
not hide what comes after. Where they take different ids, the first's lead tells which it is: near a
tie it is under twice what honest logits differ by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from enginebay_core.compare.answer import Answer, Refused, Told, first_difference
from enginebay_core.compare.drift import Drift, DriftSummary, measure, summarise


class Kind(StrEnum):
    """UNCLEAR: the texts part, and neither side tells how sure it was. REFUSED: neither takes the
    question, so it says nothing.
    """

    SAME = "same"
    ROUNDING = "rounding"
    REAL = "real"
    UNCLEAR = "unclear"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Place:
    """One index of the first's answer: the ids that both take there after the same ids. ``lead``:
    by how much the first's is likelier to it than the second's, at least; where only the second
    tells, the reverse.
    """

    index: int
    a: int
    b: int
    lead: float | None
    drift: Drift | None

    @property
    def parted(self) -> bool:
        return self.a != self.b


@dataclass(frozen=True, slots=True)
class Verdict:
    """``place`` is where the two part first; ``places`` are all that were compared."""

    kind: Kind
    reason: str = ""
    place: Place | None = None
    places: tuple[Place, ...] = ()

    @property
    def drift(self) -> DriftSummary | None:
        return summarise(place.drift for place in self.places)


Spell = Callable[[int], str]


def judge(
    a: Answer | Refused, b: Answer | Refused, along: Sequence[Told], tolerance: float, spell: Spell
) -> Verdict:
    """``along``: what the second says at each place of ``a.told``, as far as it can go.
    ``tolerance``: how far two honest logits may lie apart.
    """
    if isinstance(a, Refused) or isinstance(b, Refused):
        return _judge_refusal(a, b)
    if a.prompt != b.prompt:
        return Verdict(Kind.REAL, _other_prompt(a.prompt, b.prompt, spell))
    pairs = enumerate(zip(a.told, along, strict=False))
    places = tuple(_place(index, one, other) for index, (one, other) in pairs)
    kind, reason = _judge_places(a, b, places, 2 * tolerance, spell)
    return Verdict(kind, reason, next((place for place in places if place.parted), None), places)


def _judge_places(
    a: Answer, b: Answer, places: Sequence[Place], bound: float, spell: Spell
) -> tuple[Kind, str]:
    parted = [place for place in places if place.parted]
    sure = [place for place in parted if place.lead is not None and place.lead >= bound]
    if sure:
        return Kind.REAL, _too_sure(sure[0], bound, spell)
    drifted = [place for place in places if place.drift and place.drift.worst > bound]
    if drifted:
        return Kind.REAL, _too_far(drifted, bound)
    if len(places) < len(a.told):
        return Kind.REAL, f"B cannot follow A's answer past token {len(places)}"
    if not parted and (a.finish, len(a.ids)) != (b.finish, len(b.ids)):
        return Kind.REAL, (
            f"A ends after {len(a.ids)} tokens ({a.finish}), B after {len(b.ids)} ({b.finish})"
        )
    if any(place.lead is None for place in parted):
        return Kind.UNCLEAR, "they part, and neither side tells how sure it was"
    return (Kind.ROUNDING, _near_tie(parted, bound, spell)) if parted else (Kind.SAME, "")


def _place(index: int, a: Told, b: Told) -> Place:
    if a.id == b.id:
        return Place(index, a.id, b.id, None, measure(a, b))
    lead = a.lead_over(b.id)
    lead = b.lead_over(a.id) if lead is None else lead
    return Place(index, a.id, b.id, lead, measure(a, b))


def _judge_refusal(a: Answer | Refused, b: Answer | Refused) -> Verdict:
    if isinstance(a, Refused) and isinstance(b, Refused):
        return Verdict(Kind.REFUSED, f"neither takes it: {a.reason}")
    whose, reason = ("A", a.reason) if isinstance(a, Refused) else ("B", getattr(b, "reason", ""))
    return Verdict(Kind.REAL, f"{whose} does not take it: {reason}")


def _other_prompt(a: Sequence[int], b: Sequence[int], spell: Spell) -> str:
    index = first_difference(a, b)
    shown = [repr(spell(ids[index])) if index < len(ids) else "its end" for ids in (a, b)]
    return f"other prompt: {len(a)} and {len(b)} ids, {shown[0]} or {shown[1]} at {index + 1}"


def _too_sure(place: Place, bound: float, spell: Spell) -> str:
    return f"{_parting(place, spell)}, a lead of {place.lead:.3g}; rounding explains {bound:.3g}"


def _too_far(drifted: Sequence[Place], bound: float) -> str:
    worst = max(place.drift.worst for place in drifted if place.drift)
    return (
        f"token {drifted[0].index + 1}: log probabilities begin to drift, by up to {worst:.3g}; "
        f"rounding explains {bound:.3g}"
    )


def _near_tie(parted: Sequence[Place], bound: float, spell: Spell) -> str:
    first, more = parted[0], len(parted) - 1
    also = f"; likewise at {more} more" if more else ""
    lead = f"a lead of only {first.lead:.3g} where rounding explains {bound:.3g}"
    return f"{_parting(first, spell)}, {lead}{also}"


def _parting(place: Place, spell: Spell) -> str:
    return f"token {place.index + 1}: A takes {spell(place.a)!r} and B {spell(place.b)!r}"
