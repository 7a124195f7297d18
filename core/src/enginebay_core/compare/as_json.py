"""A comparison for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from enginebay_core.compare.answer import Answer, Refused, first_difference
from enginebay_core.compare.comparison import Comparison
from enginebay_core.compare.recording import Recording
from enginebay_core.compare.verdict import Kind, Verdict

FORMAT: Final = 1


def as_json(found: Comparison, objections: Sequence[str]) -> dict[str, Any]:
    """``format`` grows when a key changes its meaning or goes."""
    drift = found.drift
    rows = zip(found.questions, found.a.answers, found.b.answers, found.verdicts, strict=True)
    return {
        "format": FORMAT,
        "passed": not objections,
        "objections": list(objections),
        "a": _side(found.a),
        "b": _side(found.b),
        "tolerance": found.tolerance,
        "counts": {kind.value: found.counts[kind] for kind in Kind},
        "drift": None if drift is None else asdict(drift),
        "speed": found.speed,
        "questions": [
            {"question": question.title, **_answers(a, b), **_verdict(verdict, found)}
            for question, a, b, verdict in rows
        ],
    }


def _side(one: Recording) -> dict[str, Any]:
    return {
        "name": one.name,
        "backend": one.backend,
        "model": one.model,
        "precision": one.precision,
        "identity": asdict(one.identity),
        "facts": dict(one.facts),
        "context_length": one.context_length,
        "no_logprobs_because": one.silence,
        "speed": asdict(one.speed),
    }


def _answers(a: Answer | Refused, b: Answer | Refused) -> dict[str, Any]:
    one, other = _answer(a), _answer(b)
    both = isinstance(a, Answer) and isinstance(b, Answer)
    prompts = (a.prompt, b.prompt) if isinstance(a, Answer) and isinstance(b, Answer) else ((), ())
    same = prompts[0] == prompts[1]
    return {
        "same_prompt": same if both else None,
        "prompts_part_at": None if same else first_difference(*prompts),
        "a": one,
        "b": other,
    }


def _answer(one: Answer | Refused) -> dict[str, Any]:
    if isinstance(one, Refused):
        return {"refused": one.reason}
    return {"prompt_tokens": len(one.prompt), "ids": list(one.ids), "finish": one.finish.value}


def _verdict(verdict: Verdict, found: Comparison) -> dict[str, Any]:
    place, drift = verdict.place, verdict.drift
    parted = None
    if place is not None:
        texts = {"a": found.spell(place.a), "b": found.spell(place.b)}
        ids = {"a": place.a, "b": place.b}
        parted = {"index": place.index, "ids": ids, "texts": texts, "margin": place.lead}
    return {
        "verdict": verdict.kind.value,
        "reason": verdict.reason or None,
        "parted": parted,
        "drift": None if drift is None else asdict(drift),
    }
