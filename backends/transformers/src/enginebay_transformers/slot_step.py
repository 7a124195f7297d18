"""One step laid out for the slots: which token goes where, and which rows attend together.

All rows' ids run packed, as one sequence of shape (1, tokens): no padding reaches a layer. Only
attention looks at rows, and does so span by span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple, Protocol, TypeAlias

import torch

from enginebay_core.api import StepRow
from enginebay_transformers.decode_rows import DecodeKernel, DecodeRows
from enginebay_transformers.on_device import put

MaskFunction: TypeAlias = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor
]
"""Transformers' rule of who sees whom: (batch, head, query position, key position) -> bool."""

FREE_PADDING: Final = 2048
"""KV entries that may be read in vain to save one attention call."""


@dataclass(frozen=True, slots=True)
class Span:
    """Rows that one attention call serves, on the slots from ``low`` up to ``high``.

    Their tokens are ``first`` up to ``last`` of the packed step, ``queries`` per row. The call
    reads the first ``longest`` entries of each slot. ``lanes`` says which of the slots each row
    is; the slots between them compute in vain and are dropped.
    """

    first: int
    last: int
    low: int
    high: int
    queries: int
    longest: int
    lanes: tuple[int, ...]

    @property
    def dense(self) -> bool:
        return len(self.lanes) == self.high - self.low


class Places(NamedTuple):
    """Where each packed token's keys go, and how many entries it then sees. (tokens,) each."""

    slots: torch.Tensor
    entries: torch.Tensor
    lengths: torch.Tensor


class KvLayer(Protocol):
    """One layer's ``keys`` and ``values``: (slots, heads, entries, dim)."""

    keys: torch.Tensor
    values: torch.Tensor

    def write(self, key: torch.Tensor, value: torch.Tensor, places: Places) -> None:
        """Put the packed (1, heads, tokens, dim) of a step to their places."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """What the cache hands to attention: the layer that was just written, and the very ``key``
    tensor, by which attention knows that the layer is its own.
    """

    key: torch.Tensor
    layer: KvLayer


class SlotStep:
    """The layout of one step. ``ids`` and ``positions``: (1, tokens). The first ``decoding``
    tokens are rows of one id that ``kernel`` serves; ``spans`` are the rest. ``keep`` are the
    packed places of the logits that were asked for, in the order of the rows as they came, or
    None for all in packed order. ``written`` is the layer that ran last.
    """

    def __init__(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        places: Places,
        *,
        spans: tuple[Span, ...] = (),
        keep: Sequence[int] | None = None,
        kernel: DecodeKernel | None = None,
        decoding: int = 0,
        layers: Sequence[KvLayer] = (),
    ) -> None:
        self.ids = ids
        self.positions = positions
        self.spans = spans
        self.keep = keep
        self.kernel = kernel
        self.decoding = decoding
        self.layers = layers
        self.written: Written | None = None
        self._places = {places.slots.device: places}
        self._lanes: dict[tuple[Span, torch.device], torch.Tensor] = {}

    def places(self, device: torch.device) -> Places:
        """On ``device``: layers may lie on several."""
        if device not in self._places:
            first = next(iter(self._places.values()))
            self._places[device] = Places(*(tensor.to(device) for tensor in first))
        return self._places[device]

    def decode_rows(self, device: torch.device) -> DecodeRows:
        places = self.places(device)
        return DecodeRows(places.slots[: self.decoding], places.lengths[: self.decoding])

    def lanes(self, span: Span, device: torch.device) -> torch.Tensor:
        if (span, device) not in self._lanes:
            self._lanes[span, device] = put(span.lanes, torch.long, device)
        return self._lanes[span, device]

    def mask(self, span: Span, rule: MaskFunction, device: torch.device) -> torch.Tensor:
        """True where a query sees a key: (slots of the span, 1, queries, longest)."""
        positions = self.places(device).entries[span.first : span.last].view(-1, span.queries)
        if not span.dense:
            spread = positions.new_zeros(span.high - span.low, span.queries)
            spread[self.lanes(span, device)] = positions
            positions = spread
        zero = positions.new_zeros(())  # packed: one batch entry, and rules are the same per head
        keys = torch.arange(span.longest, device=device)
        seen = rule(zero, zero, positions[:, None, :, None], keys[None, None, None, :])
        return seen.expand(positions.shape[0], 1, span.queries, span.longest)


def lay_out(
    rows: Sequence[StepRow],
    device: torch.device,
    kernel: DecodeKernel | None = None,
    layers: Sequence[KvLayer] = (),
) -> SlotStep:
    """Decode rows first and by slot, then the longer ones."""
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i].ids) > 1, rows[i].slot))
    packed = [rows[i] for i in order]
    ends = list(accumulate(len(row.ids) for row in packed))
    firsts = {i: end - len(rows[i].ids) for i, end in zip(order, ends, strict=True)}
    keep = [place for i, row in enumerate(rows) for place in kept(row, firsts[i])]
    decoding = 0 if kernel is None else sum(len(row.ids) == 1 for row in packed)
    tokens = [
        (token, place, row.slot)
        for row in packed
        for place, token in enumerate(row.ids, start=row.start)
    ]
    ids, positions, slots = put(list(zip(*tokens, strict=True)), torch.long, device)
    return SlotStep(
        ids[None],
        positions[None],
        Places(slots, positions, positions + 1),
        spans=tuple(lay_spans(packed[decoding:], decoding)),
        keep=None if keep == list(range(len(tokens))) else keep,
        kernel=kernel,
        decoding=decoding,
        layers=layers,
    )


def kept(row: StepRow, first: int) -> range:
    """Packed places whose logits the row asks for."""
    end = first + len(row.ids)
    return range({"none": end, "last": end - 1, "all": first}[row.logits], end)


def lay_spans(packed: Sequence[StepRow], first: int = 0) -> Iterator[Span]:
    """Decode rows, which come first and by slot, share spans as long as that costs little more
    than the entries they really read; each longer row is a span of its own.
    """
    run: list[StepRow] = []
    for row in packed:
        if run and (len(row.ids) > 1 or not worth_joining(run, row)):
            yield make_span(first, run)
            first, run = first + sum(len(member.ids) for member in run), []
        run.append(row)
    if run:
        yield make_span(first, run)


def worth_joining(run: Sequence[StepRow], row: StepRow) -> bool:
    if len(run[0].ids) > 1:
        return False
    joined = [*run, row]
    needed = sum(member.start + 1 for member in joined)
    read = (row.slot - run[0].slot + 1) * max(member.start + 1 for member in joined)
    return read <= 2 * needed + FREE_PADDING


def make_span(first: int, run: Sequence[StepRow]) -> Span:
    queries = len(run[0].ids)
    low, high = run[0].slot, run[-1].slot + 1
    longest = max(row.start for row in run) + queries
    lanes = tuple(row.slot - low for row in run)
    return Span(first, first + queries * len(run), low, high, queries, longest, lanes)


_running: ContextVar[SlotStep] = ContextVar("enginebay_slot_step")


@contextmanager
def running(step: SlotStep) -> Iterator[None]:
    """While open, cache and attention, which Transformers calls, find ``step``."""
    token = _running.set(step)
    try:
        yield
    finally:
        _running.reset(token)


def running_step() -> SlotStep:
    return _running.get()
