"""The backend ``toy``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from enginebay_core.api import (
    Batching,
    Capabilities,
    EngineOptions,
    Generator,
    Progress,
    StepEngine,
    StepOptions,
    step_capabilities,
)
from enginebay_core.toy.embedder import ToyEmbedder
from enginebay_core.toy.engine import ToyEngine
from enginebay_core.toy.faults import load_slowly


class ToyOptions(StepOptions):
    """Each fault counts the engine's own steps, the first being 1."""

    task: Literal["generate", "embed"] = Field(
        default="generate", description="Make text, or vectors."
    )
    max_length: int = Field(default=2048, ge=2, description="Ids per sequence, prompt and output.")
    batching: Batching = Field(default="mixed", description="Which rows one step may hold.")
    step_seconds: float = Field(default=0.0, ge=0, description="How long each step takes at least.")
    load_seconds: float = Field(default=0.0, ge=0, description="How long loading takes.")
    fail_load: bool = Field(default=False, description="Raise while loading.")
    raise_at_step: int | None = Field(default=None, ge=1, description="Raise in this step.")
    hang_at_step: int | None = Field(default=None, ge=1, description="Never return from it.")


class ToyBackend:
    """Hashes instead of thinking."""

    options: type[EngineOptions] = ToyOptions
    tokenizer = "bytes"

    def load(self, model: Path, options: ToyOptions, progress: Progress) -> ToyEngine | ToyEmbedder:
        load_slowly(options.load_seconds, options.fail_load, progress)
        if options.task == "embed":
            return ToyEmbedder(max_length=options.max_length, step_seconds=options.step_seconds)
        return ToyEngine(
            max_sequences=options.max_sequences,
            max_length=options.max_length,
            batching=options.batching,
            step_seconds=options.step_seconds,
            raise_at_step=options.raise_at_step,
            hang_at_step=options.hang_at_step,
        )

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        return step_capabilities()
