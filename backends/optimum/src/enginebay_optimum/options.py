"""What an operator may set."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from enginebay_core.api import StepOptions

DEFAULT_MAX_LENGTH: Final = 4096


class OptimumOptions(StepOptions):
    """KV takes layers x 2 x kv_heads x head_dim x 4 bytes per id, as it is written."""

    engine: Literal["onnxruntime", "torch"] = Field(
        default="onnxruntime",
        description="onnxruntime: ORTModelForCausalLM on the exported graph. torch: Transformers "
        "4.57 itself on the checkpoint, in float32, which tells whether a difference is Optimum's.",
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of one step. Default: one per physical core."
    )
    max_length: int | None = Field(
        default=None,
        ge=2,
        description="Ids per sequence, prompt and output. Default: what the model was trained "
        f"for, at most {DEFAULT_MAX_LENGTH}.",
    )
