"""Where a backend runs: ``process`` is a child process of its own, ``inline`` is this one."""

from enginebay_core.placement.opening import (
    Placement,
    open_model,
    placement_of,
    process_is_installed,
    require_process,
)
from enginebay_core.placement.running import Condition, RunningModel

__all__ = [
    "Condition",
    "Placement",
    "RunningModel",
    "open_model",
    "placement_of",
    "process_is_installed",
    "require_process",
]
