"""A model that can answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from enginebay_core.api import Capabilities, Generator, Tokenizer
from enginebay_core.config import Defaults
from enginebay_core.engine import Embeddings
from enginebay_core.text import TemplateFacts


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether the engine can take requests just now. ``failed`` is for good. ``reason`` says why
    not, in words that a stranger may read.
    """

    state: Literal["ready", "restarting", "failed"]
    reason: str | None = None


READY: Final = Condition("ready")


def always_ready() -> Condition:
    """An engine in this very process."""
    return READY


@dataclass(frozen=True)
class RunningModel:
    """Everything the server composes for one model. Whoever opened it closes it.

    ``model`` is the name in the config, never a path of this machine. ``defaults`` are resolved:
    config over the checkpoint's generation config; what neither says is OpenAI's. ``stop_ids``
    end an answer. ``condition`` may be asked at any time, from any thread.
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
    condition: Callable[[], Condition] = always_ready

    @property
    def embeddings(self) -> Embeddings | None:
        """What makes vectors; None for a model that makes text."""
        return self.generator if isinstance(self.generator, Embeddings) else None

    def close(self) -> None:
        """End running requests with EngineClosed, then free everything. Blocks; safe to repeat."""
        self.generator.close()
