"""The engine of ``toy``: a forward pass without a model."""

from __future__ import annotations

import threading
import time
from typing import Final

import numpy as np
import numpy.typing as npt

from enginebay_core.api import (
    Batching,
    CopyPrefix,
    EngineSpec,
    KvOperation,
    NumpySampling,
    StepBatch,
    StepRow,
)

VOCAB_SIZE: Final = 259
"""Bytes and the three control tokens of the tokenizer ``bytes``."""

_EMPTY: Final = -1
_PRIME: Final = np.uint64(0x100000001B3)  # of the FNV hash


class ToyEngine(NumpySampling):
    """KV is the ids themselves, one array of shape (slots, max_length).

    Printable ASCII gets the better logits, so that greedy answers can be read; control tokens are
    never likely, so an answer runs to its ``max_tokens``.
    """

    def __init__(
        self,
        *,
        max_sequences: int = 8,
        max_length: int = 2048,
        batching: Batching = "mixed",
        step_seconds: float = 0.0,
        raise_at_step: int | None = None,
        hang_at_step: int | None = None,
    ) -> None:
        self.spec = EngineSpec(
            vocab_size=VOCAB_SIZE,
            max_length=max_length,
            max_sequences=max_sequences,
            kv_bytes=8 * max_sequences * max_length,
            kv_bytes_per_token=8,
            kv_grain=1,
            rewind="any",
            batching=batching,
            facts={"device": "none"},
        )
        self.kv: npt.NDArray[np.int64] = np.full((max_sequences, max_length), _EMPTY)
        self._powers = np.cumprod(np.full(max_length, _PRIME, dtype=np.uint64))
        self._preference = _preference()
        self._step_seconds = step_seconds
        self._raise_at_step = raise_at_step
        self._hang_at_step = hang_at_step
        self._step = 0

    def forward(self, batch: StepBatch) -> npt.NDArray[np.float32]:
        self._misbehave()
        for operation in batch.operations:
            self._apply(operation)
        hashes = [h for row in batch.rows for h in self._run(row)]
        return self._logits(np.array(hashes, dtype=np.uint64))

    def close(self) -> None:
        self.kv = np.empty((0, 0), dtype=np.int64)

    def _apply(self, operation: KvOperation) -> None:
        match operation:
            case CopyPrefix(source, target, length):
                self.kv[target, :length] = self.kv[source, :length]
            case _:  # forgotten ids must not help anyone, so they are wiped
                start = getattr(operation, "length", 0)
                self.kv[operation.slot, start:] = _EMPTY

    def _run(self, row: StepRow) -> list[np.uint64]:
        """Write the row's ids, then hash what the KV says the sequence is."""
        end = row.start + len(row.ids)
        self.kv[row.slot, row.start : end] = row.ids
        if row.logits == "none":
            return []
        ids, powers = self.kv[row.slot, :end].view(np.uint64), self._powers[:end]
        if row.logits == "last":
            return [np.dot(ids, powers)]
        return list(np.cumsum(ids * powers, dtype=np.uint64)[row.start :])

    def _logits(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
        """Shape (rows, vocabulary): preference plus noise in [0, 8) drawn from each hash."""
        mixed = hashes[:, None] + np.arange(1, VOCAB_SIZE + 1, dtype=np.uint64) * _PRIME
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(32)
        noise = (mixed & np.uint64(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-21)
        logits: npt.NDArray[np.float32] = noise + self._preference
        return logits

    def _misbehave(self) -> None:
        self._step += 1
        if self._step == self._raise_at_step:
            raise RuntimeError(f"the toy was told to fail at step {self._step}")
        if self._step == self._hang_at_step:
            threading.Event().wait()
        if self._step_seconds:
            time.sleep(self._step_seconds)


def _preference() -> npt.NDArray[np.float32]:
    preference = np.zeros(VOCAB_SIZE, dtype=np.float32)
    preference[32:127] = 6.0
    preference[256:] = -20.0
    return preference
