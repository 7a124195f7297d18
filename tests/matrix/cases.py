"""What is run: each first-party backend on the bundled model, and on tiny models of the
architectures that it says it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from enginebay_core.placement import Placement

BUNDLED: Final = "pocket"
PLACEMENTS: Final[tuple[Placement, ...]] = ("inline", "process")

OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "toy": {},
        "numpy": {},
        "transformers": {"device": "cpu", "dtype": "float32"},
        "onnx": {"threads": 1},
        "openvino": {"threads": 1},
        "optimum": {"threads": 1},
    }
)
"""Of each backend, in the order of the page's columns. In float32, where the kit is at its
sharpest.
"""

BACKENDS: Final = tuple(OPTIONS)

TINY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "numpy": ("qwen3",),
        "transformers": ("llama", "mistral", "gemma3", "gpt2", "qwen3_moe"),
        "onnx": ("llama", "qwen2", "mistral", "gemma3", "gpt2"),
        "openvino": ("llama", "qwen2"),
        "optimum": ("llama", "mistral", "gpt2"),
    }
)
"""Beside the bundled model, which is a Qwen3."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run of the kit, in both placements. ``model`` is the bundled one's name, or a tiny
    architecture's; the toy has no model.
    """

    backend: str
    model: str

    @property
    def name(self) -> str:
        return f"{self.backend} on {self.model}"


def all_cases() -> list[Case]:
    bundled = [Case(name, "toy" if name == "toy" else BUNDLED) for name in BACKENDS]
    return bundled + [Case(name, model) for name, models in TINY.items() for model in models]
