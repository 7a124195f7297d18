"""What a scrape reads: what was counted, and how the engines are just now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from enginebay_core.api import EngineStats
from enginebay_server.metrics.meter import Meters, ModelMeter
from enginebay_server.metrics.tally import Tally
from enginebay_server.models import ModelEntry, ModelTable, State

LABELS: Final = ("model", "backend")

GAUGES: Final = {
    "running": ("enginebay_sequences_running", "Sequences that have room in the engine."),
    "waiting": ("enginebay_sequences_waiting", "Sequences that wait for room in the engine."),
    "kv_used": ("enginebay_kv_used_ratio", "Share of the KV memory that running sequences hold."),
    "kv_kept": ("enginebay_kv_kept_ratio", "Share of it kept of ended ones until it is needed."),
}
COUNTERS: Final = {
    "prefix_asked": ("enginebay_prefix_asked_tokens", "Prompt tokens that were to be computed."),
    "prefix_found": ("enginebay_prefix_found_tokens", "Those whose KV was there already."),
    "preemptions": ("enginebay_preemptions", "Sequences sent back to wait, for want of KV memory."),
}
"""Fields of ``EngineStats`` as metrics."""
TALLIES: Final = {
    "duration": ("enginebay_request_duration_seconds", "From a request's head to its end."),
    "first_token": ("enginebay_time_to_first_token_seconds", "From its head to its first token."),
    "each_token": ("enginebay_time_per_output_token_seconds", "From each token to the next."),
}

Labels = tuple[str, ...]


def open_registry(models: ModelTable, meters: Meters) -> CollectorRegistry:
    """One app's own, with the usual figures of the server's process."""
    registry = CollectorRegistry()
    registry.register(ModelCollector(models, meters))
    ProcessCollector(registry=registry)
    return registry


class ModelCollector(Collector):
    """Asks when it is scraped, so that between scrapes nothing is spent on it."""

    def __init__(self, models: ModelTable, meters: Meters) -> None:
        self._models = models
        self._meters = meters

    def describe(self) -> Iterable[Metric]:
        """Nothing before there is something; else registering would ask everything once."""
        return ()

    def collect(self) -> Iterator[Metric]:
        entries = self._models.entries.values()
        yield from requests(self._metered())
        yield from tokens(self._metered())
        for name in TALLIES:
            yield histogram(name, self._metered())
        yield from conditions(entries)
        yield from engines(entries)

    def _metered(self) -> list[tuple[Labels, ModelMeter]]:
        return [(self._labels(name), meter) for name, meter in self._meters.models.items()]

    def _labels(self, name: str) -> Labels:
        entry = self._models.entries.get(name)
        return (name, entry.config.backend if entry else "")


def requests(metered: Iterable[tuple[Labels, ModelMeter]]) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "enginebay_requests", "Requests that have ended.", labels=(*LABELS, "endpoint", "status")
    )
    inside = GaugeMetricFamily(
        "enginebay_requests_in_flight", "Requests that have not ended.", labels=LABELS
    )
    for labels, meter in metered:
        for (endpoint, status), count in meter.ended.items():
            ended.add_metric((*labels, endpoint, str(status)), count)
        if labels[0]:
            inside.add_metric(labels, len(meter.inside))
    yield from (ended, inside)


def tokens(metered: Iterable[tuple[Labels, ModelMeter]]) -> Iterator[Metric]:
    family = CounterMetricFamily(
        "enginebay_tokens", "Tokens of prompts and of answers.", labels=(*LABELS, "kind")
    )
    for labels, meter in metered:
        if labels[0]:
            family.add_metric((*labels, "prompt"), meter.prompt_tokens)
            family.add_metric((*labels, "completion"), meter.completion_tokens)
    yield family


def histogram(field: str, metered: Iterable[tuple[Labels, ModelMeter]]) -> Metric:
    family = HistogramMetricFamily(*TALLIES[field], labels=LABELS)
    for labels, meter in metered:
        tally: Tally = getattr(meter, field)
        if labels[0] or field == "duration":
            bounds = [*map(floatToGoString, tally.bounds), "+Inf"]
            buckets = list(zip(bounds, map(float, accumulate(tally.counts)), strict=True))
            family.add_metric(labels, buckets, tally.sum)
    return family


def conditions(entries: Iterable[ModelEntry]) -> Iterator[Metric]:
    ready = GaugeMetricFamily("enginebay_model_ready", "Whether it can answer.", labels=LABELS)
    restarts = CounterMetricFamily(
        "enginebay_restarts", "Times that a backend's process was started again.", labels=LABELS
    )
    for entry in entries:
        labels = (entry.name, entry.config.backend)
        ready.add_metric(labels, entry.state is State.READY)
        if entry.running is not None and entry.running.restarts is not None:
            restarts.add_metric(labels, entry.running.restarts())
    yield from (ready, restarts)


def engines(entries: Iterable[ModelEntry]) -> Iterator[Metric]:
    """What an engine does not tell is absent."""
    told = [
        ((entry.name, entry.config.backend), entry.running.stats)
        for entry in entries
        if entry.running is not None
    ]
    for field, (name, help_) in GAUGES.items():
        yield filled(GaugeMetricFamily(name, help_, labels=LABELS), field, told)
    for field, (name, help_) in COUNTERS.items():
        yield filled(CounterMetricFamily(name, help_, labels=LABELS), field, told)


def filled(
    family: GaugeMetricFamily | CounterMetricFamily,
    field: str,
    told: Iterable[tuple[Labels, EngineStats]],
) -> Metric:
    for labels, stats in told:
        value = getattr(stats, field)
        if value is not None:
            family.add_metric(labels, value)
    return family
