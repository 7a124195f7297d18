"""A model that can answer."""

from __future__ import annotations

from dataclasses import dataclass

from enginebay_core.api import Capabilities, Generator, Tokenizer
from enginebay_core.config import Defaults
from enginebay_core.text import TemplateFacts


@dataclass(frozen=True)
class RunningModel:
    """Everything the server composes for one model. Whoever opened it closes it.

    ``model`` is the name in the config, never a path of this machine. ``defaults`` are resolved:
    config over the checkpoint's generation config; what neither says is OpenAI's. ``stop_ids``
    end an answer.
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

    def close(self) -> None:
        """End running requests with EngineClosed, then free everything. Blocks; safe to repeat."""
        self.generator.close()
