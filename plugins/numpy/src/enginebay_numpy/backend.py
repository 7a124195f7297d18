"""The plugin's door: options, loading, what it honours."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field

from enginebay_core.api import (
    Capabilities,
    EngineOptions,
    Generator,
    ModelError,
    Progress,
    StepEngine,
    StepOptions,
    step_capabilities,
)
from enginebay_numpy.checkpoint import read_config, read_weights
from enginebay_numpy.engine import NumpyEngine

DEFAULT_MAX_LENGTH: Final = 4096


class NumpyOptions(StepOptions):
    """The KV cache costs layers x 2 x kv_heads x head_dim x 4 bytes per id, for max_sequences x
    max_length ids. On Linux only what has been written takes memory.
    """

    max_length: int | None = Field(
        default=None,
        ge=2,
        description="Ids per sequence, prompt and output. Default: what the model was trained "
        f"for, at most {DEFAULT_MAX_LENGTH}.",
    )


class NumpyBackend:
    """Qwen3 checkpoints in float32 on the CPU, with numpy's own threads."""

    options: type[EngineOptions] = NumpyOptions
    tokenizer = "huggingface"

    def load(self, model: Path, options: NumpyOptions, progress: Progress) -> StepEngine:
        config = read_config(model)
        length = options.max_length or min(config.max_positions, DEFAULT_MAX_LENGTH)
        if length > config.max_positions:
            raise ModelError(
                f"max_length is {length!r}; this model was trained for {config.max_positions} ids: "
                "lower it"
            )
        weights = read_weights(model, config, progress)
        try:
            return NumpyEngine(
                config, weights, max_sequences=options.max_sequences, max_length=length
            )
        except MemoryError as error:
            raise ModelError(
                f"no memory for the KV cache of {options.max_sequences} sequences of {length} ids; "
                "lower max_sequences or max_length"
            ) from error

    def capabilities(self, engine: Generator | StepEngine) -> Capabilities:
        return step_capabilities()
