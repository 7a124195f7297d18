"""What contenders are called: in the tables, and on the command line and in files."""

from __future__ import annotations

from typing import Final

OURS: Final = "EngineBay"
BRIEF: Final = "EngineBay, for short prompts"
INLINE: Final = "EngineBay, for short prompts, inline"
OPENVINO: Final = "EngineBay on openvino"
OPENVINO_INLINE: Final = "EngineBay on openvino, inline"
ONNX: Final = "EngineBay on onnx"
ONNX_INLINE: Final = "EngineBay on onnx, inline"
TOY: Final = "EngineBay on a paced toy"
TOY_INLINE: Final = "EngineBay on a paced toy, inline"
CONTINUOUS: Final = "transformers serve, continuous batching"
SERVE: Final = "transformers serve"
LLAMA: Final = "llama-cpp-python server"
BARE: Final = "bare forward loop"
PIPELINE: Final = "bare openvino-genai pipeline"
ORT_LONE: Final = "ORTModelForCausalLM.generate, one request at a time"
ORT_BATCH: Final = "ORTModelForCausalLM.generate, a static batch"
ASGI: Final = "bare ASGI app"

KEYS: Final = {
    "enginebay": OURS,
    "enginebay-brief": BRIEF,
    "enginebay-inline": INLINE,
    "openvino": OPENVINO,
    "openvino-inline": OPENVINO_INLINE,
    "onnx": ONNX,
    "onnx-inline": ONNX_INLINE,
    "toy": TOY,
    "toy-inline": TOY_INLINE,
    "transformers-cb": CONTINUOUS,
    "transformers": SERVE,
    "llama-cpp": LLAMA,
    "bare": BARE,
    "openvino-pipeline": PIPELINE,
    "ort-lone": ORT_LONE,
    "ort-batch": ORT_BATCH,
}
"""All that take waves, in the order in which they take turns."""


def is_ours(name: str) -> bool:
    return name.startswith(OURS)
