"""One thing that the doctor looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Check:
    """``repair`` says what to do about a ``warn`` or ``fail``."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    repair: str | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
