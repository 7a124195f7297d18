"""Where one sequence is in its grammar, and what it may say next."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from enginebay_core.api import EngineBayError, EngineError, ThinkingSpan
from enginebay_core.grammar.guidance import unusable

if TYPE_CHECKING:
    from llguidance import LLMatcher

WORD: Final = 32
TOO_COMPLEX: Final = (
    "it is too complex to follow, since too much may come at one place: give it fewer optional "
    "properties or alternatives"
)


class _Stage(enum.Enum):
    """FIRST: nothing was said yet, and thinking may begin. ANSWER: the rules alone are in force."""

    FIRST = enum.auto()
    THINKING = enum.auto()
    ANSWER = enum.auto()


class Matcher:
    """Touched by one thread at a time: the one that made it, then the engine's.

    llguidance knows an end of its own, the id after the vocabulary's last: so stop ids are whatever
    the request says, and the control tokens of a grammar are no ends. ``place`` is the request
    field to name when the grammar turns out to be too much.
    """

    __slots__ = ("_bits", "_end", "_fault", "_place", "_stage", "_state", "_stop_ids", "_thinking")

    def __init__(
        self,
        state: LLMatcher,
        vocab_size: int,
        stop_ids: frozenset[int],
        thinking: ThinkingSpan | None,
        place: str,
    ) -> None:
        """Takes ``state`` for its own."""
        self._state = state
        self._end = vocab_size
        self._stop_ids = stop_ids
        self._thinking = thinking
        self._place = place
        self._fault: EngineBayError | None = None
        self._bits = np.zeros(vocab_size // WORD + 1, dtype=np.int32)
        self._stage = _Stage.ANSWER
        if thinking is not None:
            self._stage = _Stage.THINKING if thinking.begun else _Stage.FIRST

    @property
    def mask(self) -> npt.NDArray[np.int32] | None:
        """As ``SampleRow`` has it: a live view, which ``fill`` brings up to date. None while
        everything but a stop id may come.
        """
        if self._stage is _Stage.THINKING:
            return None
        return self._bits[: (self._end + WORD - 1) // WORD]

    @property
    def complete(self) -> bool:
        """Whether nothing can follow."""
        return self._stage is _Stage.ANSWER and self._state.is_stopped()

    def fill(self) -> None:
        """Work out what may come next. What goes wrong is told by the ``take`` that follows, and
        until then everything may come: others are in the same step.
        """
        if self._stage is _Stage.THINKING:
            return
        self._state.unsafe_compute_mask_ptr(self._bits.ctypes.data, self._bits.nbytes)
        may_end = self._allows(self._end) and self._state.is_accepting()
        for token in (self._end, *self._stop_ids):
            self._set(token, allowed=may_end and token != self._end)
        if self._state.is_error() or not self._bits.any():
            self._fault = self._dead_end()
            self._bits.fill(-1)
        if self._stage is _Stage.FIRST and self._thinking is not None:
            self._set(self._thinking.opening, allowed=True)

    def take(self, token: int) -> EngineBayError | None:
        """The id that was chosen. What is returned ends the sequence."""
        if self._fault is not None:
            return self._fault
        if self._stage is _Stage.THINKING:
            self._think(token)
            return None
        if not self._allows(token):
            return EngineError(f"the engine chose the id {token}, which the grammar forbids")
        if token in self._stop_ids:
            return None
        if self._stage is _Stage.FIRST and self._thinking and token == self._thinking.opening:
            self._stage = _Stage.THINKING
            return None
        self._stage = _Stage.ANSWER
        return None if self._state.consume_token(token) else self._dead_end()

    def _think(self, token: int) -> None:
        if self._thinking is not None and token == self._thinking.closing:
            self._stage = _Stage.ANSWER

    def _dead_end(self) -> EngineBayError:
        """A limit of the parser that was passed is, to llguidance, an error of its own."""
        reason = self._state.stop_reason()
        if "TooComplex" in reason or "InternalError" in reason:
            return unusable(self._place, TOO_COMPLEX)
        return unusable(self._place, "it leads to where nothing is valid")

    def _allows(self, token: int) -> bool:
        return bool(self._bits[token // WORD] >> (token % WORD) & 1)

    def _set(self, token: int, *, allowed: bool) -> None:
        bit = np.int32(-(2**31)) if token % WORD == WORD - 1 else np.int32(1 << token % WORD)
        if allowed:
            self._bits[token // WORD] |= bit
        else:
            self._bits[token // WORD] &= ~bit
