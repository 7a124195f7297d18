"""Which known name was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

LONGEST: Final = 64
"""Characters of what may be a mistake in writing; the search takes time with more."""


def suggest(unknown: str, known: Iterable[str]) -> str | None:
    """The nearest of ``known``, or None when none is near."""
    if len(unknown) > LONGEST:
        return None
    folded = {name.casefold().replace("-", "_"): name for name in known}
    near = difflib.get_close_matches(unknown.casefold().replace("-", "_"), folded, 1, cutoff=0.6)
    return folded[near[0]] if near else None
