"""How contenders are started."""

from tests.benchmarks.peers.bare_asgi import bare_asgi
from tests.benchmarks.peers.enginebay import Setup, enginebay, enginebay_frames, enginebay_toy
from tests.benchmarks.peers.llama_cpp import llama_cpp
from tests.benchmarks.peers.looped import Looped, bare, openvino_pipeline, ort_generate
from tests.benchmarks.peers.served import Served
from tests.benchmarks.peers.transformers_serve import transformers_serve

__all__ = [
    "Looped",
    "Served",
    "Setup",
    "bare",
    "bare_asgi",
    "enginebay",
    "enginebay_frames",
    "enginebay_toy",
    "llama_cpp",
    "openvino_pipeline",
    "ort_generate",
    "transformers_serve",
]
