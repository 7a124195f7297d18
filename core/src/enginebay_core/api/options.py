"""The settings that a backend takes from the config."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EngineOptions(BaseModel):
    """Base of every backend's options. Unknown keys are refused before anything loads; the
    field descriptions become the config's JSON Schema and ``enginebay plugins show``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class StepOptions(EngineOptions):
    """What every step engine lets the operator choose."""

    max_sequences: int = Field(
        default=8, ge=1, le=4096, description="Sequences that run at once; each takes a KV slot."
    )
    max_length: int | None = Field(
        default=None,
        ge=2,
        description="Ids per sequence, prompt and output. Default: what the model was trained for.",
    )
