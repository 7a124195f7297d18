"""What the server counts, and what a scrape reads of it."""

from enginebay_server.metrics.clock import TokenClock
from enginebay_server.metrics.collector import open_registry
from enginebay_server.metrics.meter import Meters, ModelMeter
from enginebay_server.metrics.tally import Tally

__all__ = ["Meters", "ModelMeter", "Tally", "TokenClock", "open_registry"]
