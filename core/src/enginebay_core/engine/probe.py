"""What an engine is asked after a failure: whether it is at fault itself, or the request was."""

from __future__ import annotations

from typing import Final

from enginebay_core.api import GenerationRequest, SamplingParams

PROBE: Final = GenerationRequest((0,), 1, SamplingParams(temperature=0))
"""Of our own: whoever cannot answer it can answer nobody."""

BROKEN: Final = (
    "it failed on a request, and then on a single id of ours; the server's log has the reasons"
)
