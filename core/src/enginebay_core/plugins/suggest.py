"""Which known name was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(unknown: str, known: Iterable[str]) -> str | None:
    """The nearest of ``known``, or None when none is near."""
    folded = {name.casefold().replace("-", "_"): name for name in known}
    near = difflib.get_close_matches(unknown.casefold().replace("-", "_"), folded, 1, cutoff=0.6)
    return folded[near[0]] if near else None
