"""The step protocol: an engine that has only a forward pass.

Core's scheduler decides which ids run where; the engine holds the arrays. One thread calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from enginebay_core.api.sampling import Sampled, SampleRow

Logits: TypeAlias = Any
"""Whatever ``forward`` returns and ``sample`` reads: float, shape (rows asked for, vocabulary),
on the engine's own device. Core never looks inside."""

Batching = Literal["mixed", "chunk", "single"]


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What the scheduler must know and obey. Fixed once the engine is loaded.

    ``max_length``: ids of one sequence, prompt and output. ``max_sequences``: KV slots, numbered
    from 0. ``kv_bytes`` is the memory set aside for KV and ``kv_bytes_per_token`` what one id
    costs; the context length that is published and enforced is what both allow.
    ``kv_grain``: a prefix of KV can be copied between slots in multiples of this many ids;
    0 means never. ``rewind``: whether a slot can be cut back to an earlier length.
    ``batching``: ``mixed`` takes decode and prefill rows in one step; ``chunk`` takes either
    decode rows (one id each) or prefill chunks (two ids or more each); ``single`` takes either
    decode rows or the whole rest of one prompt.
    ``facts`` tells the operator what was chosen ("device": "cuda:0"); it is published.
    """

    vocab_size: int
    max_length: int
    max_sequences: int
    kv_bytes: int
    kv_bytes_per_token: int
    kv_grain: int = 0
    rewind: Literal["any", "none"] = "none"
    batching: Batching = "mixed"
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def context_length(self) -> int:
        """Ids that one sequence can hold: the lesser of ``max_length`` and the KV memory."""
        if self.kv_bytes_per_token == 0:
            return self.max_length
        return min(self.max_length, self.kv_bytes // self.kv_bytes_per_token)


@dataclass(frozen=True, slots=True)
class CopyPrefix:
    """Make the first ``length`` entries of ``target`` those of ``source``."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class Rewind:
    """Forget what lies past the first ``length`` entries of ``slot``."""

    slot: int
    length: int


@dataclass(frozen=True, slots=True)
class Free:
    """Nobody will read ``slot`` again before it is written from position 0."""

    slot: int


KvOperation: TypeAlias = CopyPrefix | Rewind | Free


@dataclass(frozen=True, slots=True)
class StepRow:
    """Run ``ids`` at positions ``start``, ``start + 1``, … of ``slot``, whose entries before
    ``start`` hold everything earlier; write their KV there. One id is decode, several are a
    prefill chunk. ``logits``: for none of the ids, the last, or all.
    """

    slot: int
    start: int
    ids: tuple[int, ...]
    logits: Literal["none", "last", "all"] = "last"


@dataclass(frozen=True, slots=True)
class StepBatch:
    """``operations`` in order, then ``rows`` together. No slot appears in two rows; ``rows`` is
    never empty. Slots without a row are parked and must not change.
    """

    operations: tuple[KvOperation, ...]
    rows: tuple[StepRow, ...]


@runtime_checkable
class StepEngine(Protocol):
    """Write this, get the rest. Core calls all methods from one thread of its own."""

    @property
    def spec(self) -> EngineSpec: ...

    def forward(self, batch: StepBatch) -> Logits:
        """Logits of the rows that asked, in row order (``all``: one per id, in order). After an
        exception core gives up the batch's sequences and frees their slots; others go on.
        """
        ...

    def sample(self, logits: Logits, rows: Sequence[SampleRow]) -> list[Sampled]:
        """One choice per row, in order, by the rules of ``NumpySampling``, which engines whose
        logits are numpy arrays inherit.
        """
        ...

    def close(self) -> None:
        """Free everything. Called once, after the last step."""
        ...
