"""A model that can answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from enginebay_core.api import Capabilities, EngineStats, Generator, Tokenizer
from enginebay_core.config import Defaults
from enginebay_core.engine import Embeddings
from enginebay_core.engine.check import stats_of
from enginebay_core.placement.identity import Identity
from enginebay_core.text import TemplateFacts


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether the engine can take requests just now. ``failed`` is for good. ``reason`` says why
    not, in words that a stranger may read.
    """

    state: Literal["ready", "restarting", "failed"]
    reason: str | None = None


READY: Final = Condition("ready")


@dataclass(frozen=True)
class RunningModel:
    """Everything the server composes for one model. Whoever opened it closes it.

    ``model`` is the name in the config, never a path of this machine. ``defaults`` are resolved:
    config over the checkpoint's generation config; what neither says is OpenAI's. ``stop_ids``
    end an answer. ``condition`` and ``restarts`` may be asked at any time, from any thread;
    ``restarts``, how often its process was started again, is None where it has none of its own.
    """

    name: str
    backend: str
    model: str
    generator: Generator
    tokenizer: Tokenizer
    capabilities: Capabilities
    template: TemplateFacts
    defaults: Defaults
    stop_ids: frozenset[int]
    identity: Identity
    condition: Callable[[], Condition]
    restarts: Callable[[], int] | None = None

    @property
    def embeddings(self) -> Embeddings | None:
        """What makes vectors; None for a model that makes text."""
        return self.generator if isinstance(self.generator, Embeddings) else None

    @property
    def stats(self) -> EngineStats:
        """How full its engine is: of the last second, where that is another process."""
        return stats_of(self.generator)

    def close(self) -> None:
        """End running requests with EngineClosed, then free everything. Blocks; safe to repeat."""
        self.generator.close()
