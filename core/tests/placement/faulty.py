"""A backend whose requests can break its process, and what the tests need around it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from enginebay_core.api import GenerationRequest, GenerationStep, Overloaded, SamplingParams
from enginebay_core.config import ModelConfig
from enginebay_core.placement import RunningModel, open_model
from enginebay_core.placement.process.embeddings import ProcessEmbeddings
from enginebay_core.placement.process.generator import ProcessGenerator

CODE = """
import ctypes, logging, os, signal, subprocess, sys, time
from enginebay_core.api import FinishReason, GenerationStep, Limits, step_capabilities
from enginebay_core.toy import ToyBackend, ToyEmbedder, ToyEngine, ToyOptions

log = logging.getLogger(__name__)

class Options(ToyOptions):
    at_load: str = ""
    grandchild: bool = False
    kind: str = "steps"

def hold_the_interpreter():
    ctypes.PyDLL(None).sleep(1000)

FAULTS = {
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "hang": lambda: time.sleep(1000),
    "hold": hold_the_interpreter,
    "raise": lambda: 1 / 0,
    "leave": lambda: sys.exit(7),
    "flood": lambda: [print("x" * 4000) for _ in range(2000)],
}
FIRST_IDS = {number: fault for number, fault in enumerate(FAULTS.values(), 1)}
SPOIL, SICKEN = len(FAULTS) + 1, len(FAULTS) + 2
FIRST_RAISE = 1 + list(FAULTS).index("raise")

class Odd:
    def __eq__(self, other):
        raise RuntimeError("the spec is no longer what it was")

class Engine(ToyEngine):
    sick = False

    def forward(self, batch):
        for row in batch.rows:
            if row.start == 0 and row.ids[0] in FIRST_IDS:
                FIRST_IDS[row.ids[0]]()
            if row.start == 0 and row.ids[0] == SPOIL:
                object.__setattr__(self.spec, "batching", Odd())
            self.sick |= row.start == 0 and row.ids[0] == SICKEN
        if self.sick:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().forward(batch)

class Own:
    def __init__(self, engine):
        self.limits, self._engine, self._sick = Limits(259, 128), engine, False

    async def generate(self, request):
        self._sick |= request.prompt[0] == SICKEN
        if self._sick or request.prompt[0] == FIRST_RAISE:
            1 / 0
        yield GenerationStep(request.prompt, FinishReason.LENGTH)

    def close(self):
        self._engine.close()

class Embeds(ToyEmbedder):
    sick = False

    def embed(self, inputs):
        self.sick |= any(ids[0] == SICKEN for ids in inputs)
        if self.sick or any(ids[0] == FIRST_RAISE for ids in inputs):
            1 / 0
        return super().embed(inputs)

class Backend(ToyBackend):
    options = Options

    def load(self, model, options, progress):
        progress("loading badly", 1, 2)
        if options.grandchild:
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        if options.at_load:
            FAULTS[options.at_load]()
        engine = Engine(max_sequences=options.max_sequences, step_seconds=options.step_seconds)
        if options.kind == "own":
            return Own(engine)
        if options.kind == "embedder":
            return Embeds()
        facts = {name: os.environ.get(name, "") for name in ("SECRET", "PASSED", "OMP_NUM_THREADS")}
        object.__setattr__(engine.spec, "facts", facts)
        return engine
"""
FAULTS = (
    *("segfault", "exit", "kill", "hang", "hold", "raise", "leave", "flood"),
    *("spoil", "sicken"),
)
PLAIN = 100


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    """No one is watching."""


@contextmanager
def opened(backend: str = "faulty", **config: Any) -> Iterator[RunningModel]:
    given = {"backend": backend, "model": "toy", "placement": "process", **config}
    model = open_model("mine", ModelConfig(**given), quiet)
    try:
        yield model
    finally:
        model.close()


def asking(fault: str) -> GenerationRequest:
    return ask(FAULTS.index(fault) + 1)


def ask(
    first: int = PLAIN, max_tokens: int = 4, sampling: SamplingParams | None = None, **fields: Any
) -> GenerationRequest:
    return GenerationRequest(
        (first, 104, 105), max_tokens, sampling or SamplingParams(temperature=0), **fields
    )


async def steps_of(model: RunningModel, request: GenerationRequest) -> list[GenerationStep]:
    return [step async for step in model.generator.generate(request)]


async def outcome(model: RunningModel, request: GenerationRequest) -> object:
    """The ids, or the vectors of the prompt, or what was raised."""
    if model.embeddings is None:
        return await outcome_of(model.generator.generate(request))
    try:
        return await model.embeddings.embed([request.prompt])
    except Exception as error:
        return error


async def outcome_of(steps: AsyncGenerator[GenerationStep, None]) -> object:
    """The same of a generator's steps."""
    try:
        return [token async for step in steps for token in step.ids]
    except Exception as error:
        return error


async def answered(model: RunningModel, request: GenerationRequest, seconds: float = 20) -> object:
    """As a client that retries where it is told to."""
    ends = time.monotonic() + seconds
    while True:
        result = await outcome(model, request)
        if not isinstance(result, Overloaded) or time.monotonic() > ends:
            return result
        await asyncio.sleep(0.05)


def pid_of(model: RunningModel) -> int:
    assert isinstance(model.generator, ProcessGenerator | ProcessEmbeddings)
    return model.generator.supervisor.pid


def family(pid: int) -> list[int]:
    """It and all that it has started; each by its process id."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").glob("*/children")
        for child in task.read_text().split()
    ]
    return [pid, *(one for child in children for one in family(child))]


def gone(pids: list[int], seconds: float = 5.0) -> bool:
    """Whether all have ended by then; one that waits to be reaped by its parent has."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if not any(_alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def left_in(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


async def until(happened: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not happened():  # noqa: ASYNC110 - what is watched is another process
            await asyncio.sleep(0.01)
