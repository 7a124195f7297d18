"""Runs an embedder in the child, and reports what each of its calls brings."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import partial

from enginebay_core.api import (
    Embedder,
    EngineBayError,
    EngineStats,
    GenerationRequest,
    UnsupportedField,
)
from enginebay_core.engine import QueueLimits
from enginebay_core.engine.embedding import EmbeddingLoop, Input
from enginebay_core.engine.mailbox import Embedding, Letter
from enginebay_core.placement.process import wire
from enginebay_core.placement.process.hosts import Report, give_up, send_or_end


class EmbeddingHost:
    """Core's batching over an Embedder, whose own thread writes the reports."""

    def __init__(self, embedder: Embedder, name: str, queue: QueueLimits, report: Report) -> None:
        self._inputs: dict[int, Input] = {}
        self._lock = threading.Lock()
        self._name = name
        self._report = report
        self._loop = EmbeddingLoop(
            embedder, name, queue, self._deliver, partial(give_up, report, name)
        )

    def embed(self, number: int, ids: tuple[int, ...], *, leads: bool) -> None:
        item = Input(ids, number, leads)
        with self._lock:
            self._inputs[number] = item
        try:
            self._loop.submit(item)
        except EngineBayError as error:
            self._forget(number)
            self._refuse(number, error)

    def start(self, number: int, request: GenerationRequest) -> None:
        """Never asked for by a server of the same layout."""
        self._refuse(number, UnsupportedField("an embedder generates nothing"))

    def cancel(self, number: int) -> None:
        item = self._forget(number)
        if item is not None:
            self._loop.cancel(item)
        self._report(wire.Batch(self.work(), [], gone=[number]))

    def learn(self, vocabulary: object) -> None:
        """Never asked for: vectors need no grammar."""

    def work(self) -> wire.Work:
        return wire.Work(self._loop.steps, self._loop.running, self._loop.waiting)

    def stats(self) -> EngineStats:
        return EngineStats(running=self._loop.running, waiting=self._loop.waiting)

    def close(self) -> None:
        self._loop.close()

    def _forget(self, number: int) -> Input | None:
        with self._lock:
            return self._inputs.pop(number, None)

    def _refuse(self, number: int, error: EngineBayError) -> None:
        self._report(wire.Batch(self.work(), [], [(number, wire.fault_of(error))]))

    def _deliver(self, letters: Iterable[tuple[int, Letter]]) -> None:
        vectors: list[tuple[int, bytes]] = []
        ended: list[tuple[int, wire.Fault]] = []
        for number, letter in letters:
            self._forget(number)
            if isinstance(letter, Embedding):
                vectors.append((number, letter.vector))
            elif isinstance(letter, EngineBayError):
                ended.append((number, wire.fault_of(letter)))
        batch = wire.Batch(self.work(), [], ended, vectors=vectors)
        send_or_end(self._report, batch, self._name)
