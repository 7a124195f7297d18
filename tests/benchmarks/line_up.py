"""All contenders of a run, started and ready; who cannot take part is named with the reason."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.contender import Contender
from tests.benchmarks.environments import NoEnvironment, is_made, make_environment
from tests.benchmarks.peers import bare, enginebay, llama_cpp, transformers_serve
from tests.benchmarks.processes import ChildDied
from tests.benchmarks.scenarios import BARE, CONTINUOUS, LLAMA, OURS, SERVE
from tests.benchmarks.wave import ShortAnswer

KEYS: Final = {
    "enginebay": OURS,
    "transformers-cb": CONTINUOUS,
    "transformers": SERVE,
    "llama-cpp": LLAMA,
    "bare": BARE,
}
"""What contenders are called on the command line, in files and in tables, in the order in which
they take turns.
"""

CONTEXT: Final = 2304
"""Room for the longest scenario: 2,000 tokens of history, two turns and their answers."""

STREAMS: Final = 32


@dataclass(frozen=True)
class Workshop:
    """What contenders are made of. With ``here`` they run on this Python, which then has all that
    they need; else peers get environments of their own, of which a ``quick`` run compiles none.
    """

    model: Path
    device: str
    work: Path
    here: bool
    quick: bool

    def python(self, environment: str) -> Path:
        """Raises NoEnvironment."""
        if self.here:
            return Path(sys.executable)
        return make_environment(environment, self.environments)

    def llama_python(self) -> Path:
        """Raises NoEnvironment."""
        if self.quick and not is_made("llama", self.environments):
            raise NoEnvironment("a quick run does not compile it; a full run does")
        return self.python("llama")

    @property
    def environments(self) -> Path:
        return self.work / "environments"

    def log(self, name: str) -> Path:
        return self.work / "logs" / f"{name}.log"


def start_contenders(
    stack: ExitStack, workshop: Workshop, wanted: Collection[str]
) -> tuple[list[Contender], dict[str, str]]:
    """Those whose names are ``wanted``, held still, and why others of them are not there.
    ``stack`` ends them.
    """
    ready: list[Contender] = []
    missing: dict[str, str] = {}
    for name, start in _starts(workshop).items():
        if name not in wanted:
            continue
        print(f"starting {name}", flush=True)
        try:
            contender = stack.enter_context(start())
        except (NoEnvironment, ChildDied, ShortAnswer, subprocess.CalledProcessError) as error:
            print(f"  not available: {error}", flush=True)
            missing[name] = f"not available: {error}"
        else:
            contender.child.freeze()
            ready.append(contender)
    return ready, missing


def _starts(shop: Workshop) -> dict[str, Callable[[], AbstractContextManager[Contender]]]:
    """By name; what must be installed first is installed when one starts."""
    options: dict[str, str | int] = {
        "device": shop.device,
        "dtype": "bfloat16",
        "max_sequences": STREAMS,
        "max_length": CONTEXT,
    }

    def of_transformers(key: str, *, batching: bool) -> AbstractContextManager[Contender]:
        return transformers_serve(
            KEYS[key],
            shop.python("transformers"),
            shop.model,
            shop.log(key),
            device=shop.device,
            continuous_batching=batching,
        )

    return {
        OURS: lambda: enginebay(OURS, shop.model, shop.log("enginebay"), options),
        CONTINUOUS: lambda: of_transformers("transformers-cb", batching=True),
        SERVE: lambda: of_transformers("transformers", batching=False),
        LLAMA: lambda: llama_cpp(
            LLAMA, shop.llama_python(), shop.model, shop.log("llama-cpp"), context=CONTEXT
        ),
        BARE: lambda: bare(
            BARE, Path(sys.executable), shop.model, shop.log("bare"), device=shop.device
        ),
    }
