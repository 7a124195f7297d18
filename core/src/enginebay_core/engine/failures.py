"""Whether it is the engine that fails, and not one request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

TOO_MANY: Final = 3
"""A request that an engine cannot take is often sent again by its client, so it counts once however
often it comes. Three different ones with nothing good between are not all at fault: an engine fails
them all after a sticky error of CUDA, and more would be more answers lost."""


class Failures:
    """Steps that failed with no good one between. One counts where all its prompts are other ones
    than those of the steps that count already.
    """

    def __init__(self) -> None:
        self._steps: list[set[int]] = []

    def good(self) -> None:
        """A step went well, to the end of what an engine does."""
        self._steps.clear()

    def failed(self, prompts: Iterable[Sequence[int]]) -> str | None:
        """A step did not. Why the engine must be taken for broken, in words for everyone; None
        while it need not.
        """
        step = {hash(tuple(prompt)) for prompt in prompts}
        if not any(step & before for before in self._steps):
            self._steps.append(step)
        if len(self._steps) < TOO_MANY:
            return None
        return (
            f"{TOO_MANY} steps failed in a row, each with other requests; the server's log has "
            "the reasons"
        )
