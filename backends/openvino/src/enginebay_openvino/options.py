"""What an operator may set."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from enginebay_core.api import EngineOptions

DEFAULT_MAX_LENGTH: Final = 4096

Precision = Literal["f32", "bf16", "int8"]
KvPrecision = Literal["f32", "bf16", "u8"]

KV_PRECISIONS: Final[dict[str, KvPrecision]] = {"f32": "f32", "bf16": "bf16", "int8": "u8"}
"""What keys and values are kept in, by the export's precision, unless the operator says."""
KV_BYTES: Final[dict[KvPrecision, float]] = {"f32": 4, "bf16": 2, "u8": 1.125}
"""Per number; the scales of ``u8`` included."""


class OpenVinoOptions(EngineOptions):
    """The pipeline takes the memory for max_sequences x max_length keys and values at load."""

    precision: Precision | None = Field(
        default=None,
        description="What a checkpoint is exported in: f32, equal to Transformers' float32; bf16, "
        "computed in 16 bits on processors that can; int8 (weights of 8 bits). Default: f32. A "
        "model that is an export already has its own.",
    )
    kv_precision: KvPrecision | None = Field(
        default=None,
        description="What keys and values are kept in. Default: f32 for f32, bf16 for bf16, u8 "
        "for int8.",
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of one step. Default: OpenVINO's choice."
    )
    max_sequences: int = Field(
        default=16, ge=1, le=4096, description="Sequences that run at once; more wait."
    )
    max_length: int | None = Field(
        default=None,
        ge=2,
        description="Ids per sequence, prompt and output. Default: what the model was trained "
        f"for, at most {DEFAULT_MAX_LENGTH}; never more than a sliding window.",
    )
    max_batched_tokens: int = Field(
        default=256,
        ge=32,
        le=65536,
        description="Ids of one step: longer prompts run in chunks, so that others go on.",
    )
