"""What crosses between the server and the process of one model, and how it is written down.

MessagePack of typed messages: what does not fit its type is refused, and no code can travel.
"""

from __future__ import annotations

import importlib.metadata
import zlib
from typing import Any, Final, TypeAlias

import msgspec

from enginebay_core import api
from enginebay_core.api import (
    Capabilities,
    Capability,
    EmbeddingSpec,
    EngineBayError,
    EngineStats,
    GenerationRequest,
    GenerationStep,
    Grammar,
    Limits,
    Overloaded,
    RequestError,
    Rule,
    SamplingParams,
    ThinkingSpan,
    TokenLogprob,
)
from enginebay_core.grammar import GrammarLimits


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base of all: a MessagePack array that begins with the message's name."""


class Describe(Message, frozen=True):
    """Make the backend and check its options; answered by Described or Failed. ``where`` is the
    options' place in the config, for messages.
    """

    backend: str
    options: dict[str, Any]
    where: str


class Load(Message, frozen=True):
    """Load the checkpoint; answered by any number of Progress, then Loaded or Failed. ``queue``
    is (length, seconds), None where the config says nothing of it.
    """

    model: str
    queue: tuple[int, float] | None
    grammars: GrammarLimits = GrammarLimits()


class Start(Message, frozen=True):
    """Run a request. Numbers are never used twice."""

    number: int
    request: GenerationRequest


class Embed(Message, frozen=True):
    """Make the vector of one input; numbers are as those of Start. ``leads``: the first input of
    its request.
    """

    number: int
    ids: tuple[int, ...]
    leads: bool


class Cancel(Message, frozen=True):
    """Drop a request; answered by its number in ``Batch.gone``, whatever has become of it."""

    number: int


class Spelling(Message, frozen=True):
    """What AskSpelling asked for: the bytes of each id, and the ids of control tokens."""

    tokens: list[bytes]
    control: list[int]


class Close(Message, frozen=True):
    """Close the engine and end."""


class Fault(Message, frozen=True):
    """An error as a message; ``kind`` is its class in ``enginebay_core.api``."""

    kind: str
    text: str
    param: str | None = None
    code: str | None = None
    retry_after: float = 1.0


class Hello(Message, frozen=True):
    """The first word. ``layout`` must be the reader's own, or nothing else can be understood."""

    layout: int
    core: str


class Described(Message, frozen=True):
    """``versions`` of the backend and of what it requires, as they are there."""

    tokenizer: str
    versions: dict[str, str]


class Progress(Message, frozen=True):
    stage: str
    done: int
    total: int


class Loaded(Message, frozen=True):
    """``capabilities`` is (fields, forbidden pairs). ``embedding`` is there where the engine makes
    vectors, and then there is nothing else that it can.
    """

    limits: Limits
    fields: dict[str, Capability]
    forbidden: list[tuple[str, str]]
    embedding: EmbeddingSpec | None = None

    def capabilities(self) -> Capabilities:
        return Capabilities(self.fields, tuple(self.forbidden))


class Failed(Message, frozen=True):
    """What was asked for last cannot be done, or, once loaded, nothing can be done any more; the
    process ends, or is to be ended.
    """

    fault: Fault


class AskSpelling(Message, frozen=True):
    """A grammar has come, and masks need to know the tokenizer's tokens."""


class Work(Message, frozen=True):
    """Counters of an instant. ``steps`` are those that ended: while something runs the number
    grows, or the engine hangs.
    """

    steps: int
    running: int
    waiting: int


class Beat(Message, frozen=True):
    """Sent every ``BEAT_SECONDS``, unless native code keeps Python from running. ``stats`` are too
    dear to be told with every step.
    """

    work: Work
    stats: EngineStats = EngineStats()


class Batch(Message, frozen=True):
    """All that one engine step brought, for all requests. ``gone`` were cancelled. ``vectors`` are
    float32 in the machine's own byte order.
    """

    work: Work
    steps: list[tuple[int, GenerationStep]]
    ended: list[tuple[int, Fault]] = []
    gone: list[int] = []
    vectors: list[tuple[int, bytes]] = []


Command: TypeAlias = Describe | Load | Start | Embed | Cancel | Spelling | Close
Report: TypeAlias = Hello | Described | Progress | Loaded | Failed | AskSpelling | Beat | Batch

SHAPES: Final[tuple[type, ...]] = (
    *(Describe, Load, Start, Embed, Cancel, Spelling, Close),
    *(Fault, Hello, Described, Progress, Loaded, Failed, AskSpelling, Work, Beat, Batch),
    *(GenerationRequest, SamplingParams, GenerationStep, TokenLogprob, Limits, Capability),
    *(Grammar, Rule, ThinkingSpan, GrammarLimits, EmbeddingSpec, EngineStats),
)
"""Every type that travels."""

BEAT_SECONDS: Final = 1.0

_ERRORS: Final = {
    name: member
    for name, member in vars(api).items()
    if isinstance(member, type) and issubclass(member, EngineBayError)
}


def layout() -> int:
    """A number that changes with the fields of any message, the api's own types included."""
    fields = [(shape.__name__, *shape.__annotations__.items()) for shape in SHAPES]
    return zlib.crc32(repr(fields).encode())


def hello() -> Hello:
    return Hello(layout(), importlib.metadata.version("enginebay-core"))


def fault_of(error: EngineBayError) -> Fault:
    """Of a plugin's own subclass the nearest public class is told."""
    kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _ERRORS)
    if isinstance(error, RequestError):
        return Fault(kind, str(error), error.param, error.code)
    if isinstance(error, Overloaded):
        return Fault(kind, str(error), retry_after=error.retry_after)
    return Fault(kind, str(error))


def error_of(fault: Fault) -> EngineBayError:
    cls = _ERRORS.get(fault.kind, EngineBayError)
    if issubclass(cls, RequestError):
        return cls(fault.text, param=fault.param, code=fault.code)
    if issubclass(cls, Overloaded):
        return cls(fault.text, retry_after=fault.retry_after)
    return cls(fault.text)
