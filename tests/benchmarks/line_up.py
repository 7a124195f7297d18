"""The contenders that are there now; who cannot take part is named with the reason."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.benchmarks import names, peers
from tests.benchmarks.contender import Contender
from tests.benchmarks.environments import NoEnvironment, is_made, make_environment
from tests.benchmarks.exports import have_export
from tests.benchmarks.machine import core_count
from tests.benchmarks.names import KEYS
from tests.benchmarks.processes import ChildDied
from tests.benchmarks.wave import ShortAnswer

from enginebay_core.api import EngineBayError
from enginebay_core.environments import interpreter_of

CONTEXT: Final = 2304
"""Room for the longest scenario: 2,000 tokens of history, two turns and their answers."""

SHORT_CONTEXT: Final = 512
"""For engines that are only asked short prompts, and take the memory for all at once: two with
the long one would not fit beside each other.
"""

STREAMS: Final = 32
PACE: Final = 0.02
"""Seconds of a step of the paced toy."""

Start = Callable[[], AbstractContextManager[Contender]]


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

    @cached_property
    def optimum_python(self) -> Path:
        """That of the backend `optimum`, made or brought up to date. Raises NoEnvironment."""
        index = os.environ.get("TORCH_INDEX", "")
        create = [sys.executable, "-m", "enginebay_server", "env", "create", "optimum"]
        try:
            subprocess.run([*create, *(["--index", index] if index else [])], check=True)
            return Path(interpreter_of("optimum", "the benchmark"))
        except (subprocess.CalledProcessError, EngineBayError) as error:
            raise NoEnvironment(str(error)) from error

    def export(self, python: Path, format_: str, precision: str) -> Path:
        """Made before anything is measured. Raises CalledProcessError."""
        return have_export(python, self.model, format_, precision, self.work / "cache")

    @property
    def environments(self) -> Path:
        return self.work / "environments"

    def log(self, name: str) -> Path:
        return self.work / "logs" / f"{name}.log"


class LineUp:
    """Contenders start when they are first wanted, and end when they no longer are, or with the
    block: all at once would not fit into memory.
    """

    def __init__(self, starts: Mapping[str, Start]) -> None:
        self._starts = starts
        self._ready: dict[str, Contender] = {}
        self._stacks: dict[str, ExitStack] = {}
        self.missing: dict[str, str] = {}
        """Why others are not there."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        cls: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.keep(())

    def gather(self, wanted: Collection[str]) -> Sequence[Contender]:
        """Those of ``wanted`` that can be had, held still."""
        for name in self._starts:
            if name in wanted and name not in self._ready and name not in self.missing:
                self._start(name)
        return [contender for name, contender in self._ready.items() if name in wanted]

    def keep(self, wanted: Collection[str]) -> None:
        """End all others."""
        for name in [name for name in self._ready if name not in wanted]:
            del self._ready[name]
            self._stacks.pop(name).close()

    def _start(self, name: str) -> None:
        print(f"starting {name}", flush=True)
        with ExitStack() as stack:
            try:
                contender = stack.enter_context(self._starts[name]())
            except (NoEnvironment, ChildDied, ShortAnswer, subprocess.CalledProcessError) as error:
                print(f"  not available: {error}", flush=True)
                self.missing[name] = f"not available: {error}"
                return
            contender.child.freeze()
            self._ready[name] = contender
            self._stacks[name] = stack.pop_all()


def starts(shop: Workshop) -> dict[str, Start]:
    """By name, in the order of turns; what must be installed or made first is so when one
    starts.
    """
    every = {**of_transformers(shop), **of_openvino(shop), **of_onnx(shop), **of_toy(shop)}
    return {name: every[name] for name in KEYS.values()}


def of_transformers(shop: Workshop) -> dict[str, Start]:

    def ours(name: str, placement: str, length: int) -> AbstractContextManager[Contender]:
        options: dict[str, str | float] = {
            "device": shop.device,
            "dtype": "bfloat16",
            "max_sequences": STREAMS,
            "max_length": length,
        }
        setup = peers.Setup("transformers", str(shop.model), options, placement)
        return peers.enginebay(name, setup, shop.log(key_of(name)))

    def theirs(name: str, *, batching: bool) -> AbstractContextManager[Contender]:
        return peers.transformers_serve(
            name,
            shop.python("transformers"),
            shop.model,
            shop.log(key_of(name)),
            device=shop.device,
            continuous_batching=batching,
        )

    return {
        names.OURS: lambda: ours(names.OURS, "process", CONTEXT),
        names.BRIEF: lambda: ours(names.BRIEF, "process", SHORT_CONTEXT),
        names.INLINE: lambda: ours(names.INLINE, "inline", SHORT_CONTEXT),
        names.CONTINUOUS: lambda: theirs(names.CONTINUOUS, batching=True),
        names.SERVE: lambda: theirs(names.SERVE, batching=False),
        names.LLAMA: lambda: peers.llama_cpp(
            names.LLAMA, shop.llama_python(), shop.model, shop.log("llama-cpp"), context=CONTEXT
        ),
        names.BARE: lambda: peers.bare(
            names.BARE, Path(sys.executable), shop.model, shop.log("bare"), device=shop.device
        ),
    }


def of_openvino(shop: Workshop) -> dict[str, Start]:
    """All on one export, in bfloat16."""
    here = Path(sys.executable)
    options: dict[str, str | float] = {
        "max_sequences": STREAMS,
        "max_length": SHORT_CONTEXT,
        "threads": core_count(),
    }

    def ours(name: str, placement: str) -> AbstractContextManager[Contender]:
        export = str(shop.export(here, "openvino", "bf16"))
        setup = peers.Setup("openvino", export, options, placement)
        return peers.enginebay(name, setup, shop.log(key_of(name)))

    return {
        names.OPENVINO: lambda: ours(names.OPENVINO, "process"),
        names.OPENVINO_INLINE: lambda: ours(names.OPENVINO_INLINE, "inline"),
        names.PIPELINE: lambda: peers.openvino_pipeline(
            names.PIPELINE,
            here,
            shop.export(here, "openvino", "bf16"),
            shop.log(key_of(names.PIPELINE)),
            streams=STREAMS,
            length=SHORT_CONTEXT,
        ),
    }


def of_onnx(shop: Workshop) -> dict[str, Start]:
    """All in float32, each on its own export of the one checkpoint."""
    options: dict[str, str | float] = {
        "max_sequences": STREAMS,
        "max_length": SHORT_CONTEXT,
        "threads": core_count(),
    }

    def ours(name: str, placement: str) -> AbstractContextManager[Contender]:
        export = str(shop.export(Path(sys.executable), "onnx", "fp32"))
        setup = peers.Setup("onnx", export, options, placement)
        return peers.enginebay(name, setup, shop.log(key_of(name)))

    def theirs(name: str, way: str) -> AbstractContextManager[Contender]:
        python = shop.optimum_python
        export = shop.export(python, "optimum", "fp32")
        return peers.ort_generate(name, python, export, shop.log(key_of(name)), way=way)

    return {
        names.ONNX: lambda: ours(names.ONNX, "process"),
        names.ONNX_INLINE: lambda: ours(names.ONNX_INLINE, "inline"),
        names.ORT_LONE: lambda: theirs(names.ORT_LONE, "lone"),
        names.ORT_BATCH: lambda: theirs(names.ORT_BATCH, "batch"),
    }


def of_toy(shop: Workshop) -> dict[str, Start]:
    options: dict[str, str | float] = {"max_sequences": STREAMS, "step_seconds": PACE}

    def ours(name: str, placement: str) -> AbstractContextManager[Contender]:
        return peers.enginebay_toy(name, shop.log(key_of(name)), options, placement)

    return {
        names.TOY: lambda: ours(names.TOY, "process"),
        names.TOY_INLINE: lambda: ours(names.TOY_INLINE, "inline"),
    }


def key_of(name: str) -> str:
    return next(key for key, known in KEYS.items() if known == name)
