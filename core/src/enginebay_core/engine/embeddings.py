"""Vectors, asked for on an event loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from enginebay_core.api import (
    ContextLengthExceeded,
    Embedder,
    EmbeddingSpec,
    EngineStats,
    GenerationRequest,
    GenerationStep,
    Limits,
    RequestError,
    UnsupportedField,
)
from enginebay_core.engine.embedding import EmbeddingLoop, Input
from enginebay_core.engine.mailbox import Embedding, Mailbox
from enginebay_core.engine.queue import QueueLimits

Vector = npt.NDArray[np.float32]


class Embeddings(ABC):
    """A model that makes vectors. It stands where others have a Generator, and refuses to
    generate. Where the embedder runs is the business of those who derive from it.
    """

    def __init__(self, spec: EmbeddingSpec) -> None:
        self.spec = spec

    @property
    def limits(self) -> Limits:
        return Limits(self.spec.vocab_size, self.spec.max_length, self.spec.facts)

    @property
    def stats(self) -> EngineStats:
        return EngineStats(running=self.running, waiting=self.waiting)

    @property
    @abstractmethod
    def running(self) -> int:
        """Inputs under way; an instant's value."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Inputs that are not yet under way; an instant's value."""

    async def embed(self, inputs: Sequence[tuple[int, ...]]) -> list[Vector]:
        """One vector of ``spec.dimensions`` per input, in order. Cancelling it drops what is not
        yet under way. Raises RequestError before any work, Overloaded when the first input has
        waited for too long, EngineError when the engine fails.
        """
        for index, ids in enumerate(inputs):
            self._check(ids, f"input[{index}]" if len(inputs) > 1 else "input")
        begun: list[tuple[Any, Mailbox]] = []
        try:
            for ids in inputs:
                mailbox = Mailbox()
                begun.append((self._submit(ids, mailbox, leads=not begun), mailbox))
            return [_vector(await mailbox.letter()) for _, mailbox in begun]
        finally:
            for ticket, _ in begun:
                self._cancel(ticket)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        raise UnsupportedField("this model makes vectors and no text; use /v1/embeddings")
        yield  # makes it the generator that a Generator has to return

    @abstractmethod
    def close(self) -> None:
        """End what runs with EngineClosed, then free everything. Safe to repeat."""

    @abstractmethod
    def _submit(self, ids: tuple[int, ...], mailbox: Mailbox, *, leads: bool) -> Any:
        """Begin; returns what ``_cancel`` takes. ``leads``: the first of its request."""

    @abstractmethod
    def _cancel(self, ticket: Any) -> None:
        """Nobody waits for it any more. Safe when it is done."""

    def _check(self, ids: tuple[int, ...], param: str) -> None:
        if not ids:
            raise RequestError(f"{param} is empty; send at least one token", param=param)
        if len(ids) > self.spec.max_length:
            raise ContextLengthExceeded(
                f"this model's context is {self.spec.max_length} tokens and {param} has "
                f"{len(ids)}; shorten it",
                param=param,
            )
        for token in (min(ids), max(ids)):
            if not 0 <= token < self.spec.vocab_size:
                raise RequestError(
                    f"{param} has the token id {token!r}; this model's ids are 0 to "
                    f"{self.spec.vocab_size - 1}",
                    param=param,
                )


class InlineEmbeddings(Embeddings):
    """Owns the embedder from here on. ``name`` is the backend's, for messages and logs."""

    def __init__(self, embedder: Embedder, name: str, queue: QueueLimits | None = None) -> None:
        super().__init__(embedder.spec)
        self._loop = EmbeddingLoop(embedder, name, queue or QueueLimits())

    @property
    def waiting(self) -> int:
        """Inputs that are not yet under way; an instant's value."""
        return self._loop.waiting

    @property
    def running(self) -> int:
        """Inputs that are being computed; an instant's value."""
        return self._loop.running

    @property
    def broken(self) -> str | None:
        """Why it can embed nothing any more, in words for everyone; None while it can."""
        return self._loop.broken

    def close(self) -> None:
        self._loop.close()

    def _submit(self, ids: tuple[int, ...], mailbox: Mailbox, *, leads: bool) -> Input:
        item = Input(ids, mailbox, leads)
        self._loop.submit(item)
        return item

    def _cancel(self, ticket: Input) -> None:
        self._loop.cancel(ticket)


def _vector(letter: object) -> Vector:
    assert isinstance(letter, Embedding), "an embedder gets nothing else"
    return np.frombuffer(letter.vector, dtype=np.float32)
