"""What an operator may set."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, model_validator

from enginebay_core.api import StepOptions

DEFAULT_MAX_LENGTH: Final = 4096

DEFAULT_PRECISIONS: Final[dict[str, str | None]] = {"cpu": None, "cuda": "fp16"}
"""None: the exporter's own default, or what an export is in. CUDA's GroupQueryAttention computes
in 16 bits alone.
"""

Precision = Literal["fp32", "int8", "fp16"]


class OnnxOptions(StepOptions):
    """KV takes layers x 2 x kv_heads x head_dim x 4 bytes per id (half of it in fp16), for
    max_sequences x max_length ids. On a CPU only what has been written takes memory.
    """

    task: Literal["auto", "generate", "embed"] = Field(
        default="auto",
        description="Make text or vectors. auto: vectors where the checkpoint brings "
        "sentence-transformers' modules.json.",
    )
    pooling: Literal["auto", "mean", "last", "cls"] = Field(
        default="auto",
        description="What a vector is made of: the mean of the last hidden states, that of the "
        "last id or of the first. auto: as modules.json says, else the mean.",
    )
    shrinkable: bool = Field(
        default=False,
        description="The model's card says that its vectors may be cut short (Matryoshka): honour "
        "dimensions.",
    )
    precision: Precision | None = Field(
        default=None,
        description="What a checkpoint is exported in: fp32; int8 (8-bit weights in blocks of 32, "
        "for CPUs); fp16 (for cuda). Default: fp32 on cpu, fp16 on cuda. A model that is an export "
        "already has its own.",
    )
    provider: Literal["cpu", "cuda"] = Field(
        default="cpu", description="ONNX Runtime's execution provider; cuda needs onnxruntime-gpu."
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

    @model_validator(mode="after")
    def one_precision_for_cuda(self) -> OnnxOptions:
        if self.provider == "cuda" and self.precision not in (None, "fp16"):
            raise ValueError(
                f"provider 'cuda' runs fp16, and precision is {self.precision!r}; leave it out"
            )
        return self
