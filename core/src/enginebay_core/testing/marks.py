"""What a check says about itself, and what a subclass may say about a check."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import pytest

from enginebay_core.api import GENERATION_FIELDS

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
P = ParamSpec("P")


def proves(*fields: str) -> Callable[[FunctionT], FunctionT]:
    """The check is a witness of these request fields: it asserts their defined effect. It is
    skipped when the backend refuses one of them.
    """
    unknown = set(fields) - set(GENERATION_FIELDS)
    if unknown:
        raise ValueError(f"not generation fields: {sorted(unknown)!r}")

    def mark(function: FunctionT) -> FunctionT:
        function.__dict__["proves"] = fields
        return function

    return mark


def needs(*fields: str) -> Callable[[FunctionT], FunctionT]:
    """The check uses these fields without being their witness; skipped when one is refused."""

    def mark(function: FunctionT) -> FunctionT:
        function.__dict__["needs"] = fields
        return function

    return mark


def step_engines(function: FunctionT) -> FunctionT:
    """The check drives ``forward`` or ``sample`` itself; skipped for a Generator."""
    function.__dict__["step_engines"] = True
    return function


def deviates(reason: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """The only way to replace a check in a subclass: say why.

    The replacement runs in the check's place; when it passes, it counts as an expected failure
    (never as proof of a field), and ``reason`` stands in pytest's summary and in the report.
    """
    if not reason.strip():
        raise ValueError("deviates() needs a reason that a stranger understands")

    def mark(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            function(*args, **kwargs)
            pytest.xfail(f"deviates: {reason}")

        run.__dict__["deviates"] = reason
        return run

    return mark


def fields_proved(check: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(getattr(check, "proves", ()))


def fields_needed(check: Callable[..., Any]) -> tuple[str, ...]:
    return (*fields_proved(check), *getattr(check, "needs", ()))


def reason_of(member: object) -> str | None:
    """Why a subclass replaces a check: ``@deviates``, or ``xfail`` that is strict and reasoned."""
    reason: str | None = getattr(member, "deviates", None)
    marks = getattr(member, "pytestmark", ())
    for mark in marks if isinstance(marks, list) else ():
        if mark.name == "xfail" and mark.kwargs.get("strict"):
            reason = reason or mark.kwargs.get("reason")
    return reason
