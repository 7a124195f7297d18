"""Where a backend runs. ``inline`` is this process."""

from enginebay_core.placement.inline import open_model
from enginebay_core.placement.running import RunningModel

__all__ = ["RunningModel", "open_model"]
