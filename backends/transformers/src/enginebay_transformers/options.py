"""What an operator may set."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from enginebay_core.api import StepOptions

DType = Literal["auto", "float32", "bfloat16", "float16"]


class TransformersOptions(StepOptions):
    """The defaults run any checkpoint on the best device there is."""

    task: Literal["auto", "generate", "embed"] = Field(
        default="auto",
        description="Make text or vectors. auto: vectors where the checkpoint brings "
        "sentence-transformers' modules.json, or its architecture is no language model.",
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
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="auto (CUDA, else Apple's mps, else cpu), cpu, mps, cuda or cuda:N.",
    )
    dtype: DType = Field(
        default="auto",
        description="auto: the checkpoint's, or the nearest that the device computes in hardware.",
    )
    device_map: str | dict[str, int | str] | None = Field(
        default=None,
        description="Spread the layers over several devices, as Transformers' device_map does.",
    )
    attn_implementation: str | None = Field(
        default=None,
        description="sdpa (the default) and eager run many sequences at once; any other of "
        "Transformers' implementations runs one at a time.",
    )
    cuda_graphs: bool = Field(
        default=True,
        description="Record decode steps as CUDA graphs over compiled layers. false loads sooner "
        "and generates slower; it tells whether a fault lies in them.",
    )
    trust_remote_code: bool = Field(
        default=False, description="Run Python code that lies beside the checkpoint's weights."
    )

    @model_validator(mode="after")
    def one_way_to_say_where(self) -> TransformersOptions:
        if self.device_map is not None and self.device != "auto":
            raise ValueError(
                f"device {self.device!r} and device_map {self.device_map!r} exclude each other; "
                "leave one of them out"
            )
        return self
