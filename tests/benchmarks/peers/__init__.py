"""One file per contender."""

from tests.benchmarks.peers.bare import Bare, bare
from tests.benchmarks.peers.bare_asgi import bare_asgi
from tests.benchmarks.peers.enginebay import enginebay, enginebay_toy
from tests.benchmarks.peers.llama_cpp import llama_cpp
from tests.benchmarks.peers.served import Served
from tests.benchmarks.peers.transformers_serve import transformers_serve

__all__ = [
    "Bare",
    "Served",
    "bare",
    "bare_asgi",
    "enginebay",
    "enginebay_toy",
    "llama_cpp",
    "transformers_serve",
]
