"""The load generator behind ``enginebay bench``, and the arithmetic of its figures.

``times`` and ``summary`` know nothing of HTTP, so that other clients can use them too.
"""

from enginebay_server.bench.events import EventDecoder
from enginebay_server.bench.load import Load, Target, run_load
from enginebay_server.bench.summary import Summary, percentile, summarise
from enginebay_server.bench.times import StreamTimes

__all__ = [
    "EventDecoder",
    "Load",
    "StreamTimes",
    "Summary",
    "Target",
    "percentile",
    "run_load",
    "summarise",
]
