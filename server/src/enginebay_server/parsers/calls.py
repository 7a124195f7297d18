"""Tells tool calls from the answer, in whatever syntax the model writes them."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enginebay_core.api import Piece, Tokenizer
from enginebay_core.text import open_streamer
from enginebay_server.parsers.cursor import END, Cursor, Mark
from enginebay_server.parsers.gate import Gate
from enginebay_server.parsers.parts import CallPart, Part
from enginebay_server.parsers.syntax import Syntax


@dataclass
class CallNumbers:
    """Of one answer, whose content may come in several blocks. ``only_one``: the answer ends with
    its first call.
    """

    only_one: bool = False
    begun: int = 0


@dataclass(frozen=True)
class CallContext:
    """What a reader of calls needs to know. ``tools`` are the offered functions' parameters by
    name.
    """

    syntax: Syntax
    tokenizer: Tokenizer
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stop: Sequence[str] = ()


class CallsReader:
    """What is no call is content, as it would be without tools."""

    def __init__(self, context: CallContext, numbers: CallNumbers) -> None:
        control = context.tokenizer.control
        self._tokenizer = context.tokenizer
        self._marks = {control[tag]: tag for tag in context.syntax.tags if tag in control}
        self._streamer = open_streamer(self._tokenizer)
        self._gate = Gate(context.stop)
        self._sent: deque[tuple[str, int]] = deque()
        self._unseen = 0
        self._findings = _Findings(self._gate, self._sent, numbers)
        self._cursor = Cursor(self._findings, frozenset(self._marks.values()), context.tools)
        self._syntax = context.syntax.read(self._cursor)
        next(self._syntax)

    def push(self, ids: Sequence[int]) -> Part:
        for token in ids:
            if self._gate.stopped:
                break
            tag = self._marks.get(token)
            if tag is None:
                self._send_text(self._streamer.push([token]))
            else:
                self._send_text(self._streamer.flush())
                self._streamer = open_streamer(self._tokenizer)
                self._send(Mark(tag), self._tokenizer.decode([token]), self._unseen + 1)
                self._unseen = 0
        return self._gate.take()

    def flush(self) -> Part:
        self._send_text(self._streamer.flush())
        self._send(END, "", 0)
        self._gate.text("", self._unseen)
        self._gate.flush()
        return self._gate.take()

    def _send_text(self, piece: Piece) -> None:
        """Each id goes with the first character that it completes, or the next there is."""
        self._unseen += len(piece.ids)
        together = self._cursor.apart is not None and self._cursor.apart.isdisjoint(piece.text)
        for text in [piece.text] if together and piece.text else piece.text:
            self._send(text, text, self._unseen)
            self._unseen = 0

    def _send(self, symbol: str, shown: str, ids: int) -> None:
        if self._gate.stopped:
            return
        if symbol is not END:
            self._sent.append((shown, ids))
        try:
            self._syntax.send(symbol)
        except StopIteration:
            if symbol is not END:
                raise


class _Findings:
    """What a syntax tells of symbols, in ids and text."""

    def __init__(self, gate: Gate, sent: deque[tuple[str, int]], numbers: CallNumbers) -> None:
        self._gate = gate
        self._sent = sent
        self._numbers = numbers

    def content(self, symbols: int) -> None:
        for _ in range(symbols):
            self._gate.text(*self._sent.popleft())

    def skip(self, symbols: int) -> None:
        for _ in range(symbols):
            self._gate.call(self._sent.popleft()[1])

    def begin(self, name: str) -> None:
        index = self._numbers.begun
        self._numbers.begun += 1
        self._gate.add_call(CallPart(index, id=f"call_{uuid.uuid4().hex[:24]}", name=name))

    def arguments(self, text: str) -> None:
        self._gate.add_call(CallPart(self._numbers.begun - 1, text))

    def end(self) -> None:
        if self._numbers.only_one:
            self._gate.stop()
