"""All contenders of a run, started and ready; who cannot take part is named with the reason."""

from __future__ import annotations

import importlib.metadata
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import scenarios
from tests.benchmarks.checkpoint import Shape, make_checkpoint, weight_bytes
from tests.benchmarks.contender import Contender
from tests.benchmarks.environments import NoEnvironment, make_environment
from tests.benchmarks.figures import Results
from tests.benchmarks.peers import Served, Worker, enginebay, llama_cpp, transformers_serve, worker
from tests.benchmarks.processes import ChildDied
from tests.benchmarks.wave import ShortAnswer

STREAMS: Final = 32
CONTEXT: Final = 2304
"""Room for the longest scenario: 2,000 tokens of history, two turns and their answers."""

BLOCKS: Final = 160
"""Of 256 tokens, for ``transformers serve``, whose default would be nearly all memory."""

OPTIONS: Final[dict[str, str | int]] = {
    "device": "cpu",
    "dtype": "bfloat16",
    "max_sequences": STREAMS,
}


@dataclass(frozen=True)
class Line:
    """``bare`` also knows the device: it is the one that measures what memory can give."""

    contenders: list[Contender]
    bare: Worker
    weights: int

    @property
    def threads(self) -> int:
        return int(self.bare.facts["threads"])

    def limit(self) -> float:
        """Tokens per second of one stream that reads all weights at memory bandwidth."""
        return self.bare.bandwidth() / self.weights if self.weights else math.nan


def open_line(stack: ExitStack, shape: Shape, work: Path, results: Results, *, quick: bool) -> Line:
    """Everyone, one after another; ``stack`` ends them."""
    model = make_checkpoint(shape, work / "models")
    logs = work / "logs"
    bare = stack.enter_context(
        worker(scenarios.BARE, Path(sys.executable), "bare", model, logs, device="cpu")
    )
    contenders: list[Contender] = [bare]
    for name, start in _starts(model, work, logs, quick=quick).items():
        print(f"starting {name}", flush=True)
        try:
            contenders.insert(0, stack.enter_context(start()))
        except (NoEnvironment, ChildDied, ShortAnswer) as error:
            print(f"  left out: {error}", flush=True)
            results.skipped[name] = str(error)
    return Line(contenders, bare, weight_bytes(model))


def _starts(
    model: Path, work: Path, logs: Path, *, quick: bool
) -> dict[str, Callable[[], AbstractContextManager[Contender]]]:
    """By name; what must be installed first is installed when one starts."""
    options = {**OPTIONS, "max_length": CONTEXT}

    def of_transformers(name: str, batching: bool) -> AbstractContextManager[Served]:
        python = make_environment("transformers", work / "environments")
        return transformers_serve(
            name, python, model, logs, continuous_batching=batching, device="cpu", blocks=BLOCKS
        )

    def of_llama() -> AbstractContextManager[Served]:
        environments = work / "environments"
        if quick and not (environments / "llama" / "installed").exists():
            raise NoEnvironment("a quick run does not build it; a full run does")
        python = make_environment("llama", environments)
        return llama_cpp(scenarios.LLAMA, python, model, logs, context=CONTEXT)

    return {
        scenarios.LLAMA: of_llama,
        scenarios.SERVE: lambda: of_transformers(scenarios.SERVE, batching=False),
        scenarios.CONTINUOUS: lambda: of_transformers(scenarios.CONTINUOUS, batching=True),
        scenarios.ENGINE: lambda: worker(
            scenarios.ENGINE, Path(sys.executable), "engine", model, logs, **options
        ),
        scenarios.OURS: lambda: enginebay(scenarios.OURS, model, logs, options=options),
    }


def versions() -> dict[str, str]:
    """Of what does the work, as installed here; the peers' environments have the same."""
    names = ("torch", "transformers", "uvicorn", "fastapi")
    return {name: importlib.metadata.version(name) for name in names}
