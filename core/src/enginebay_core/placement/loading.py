"""Has a backend load a model, and looks at what it made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from enginebay_core.api import (
    Backend,
    Capabilities,
    ConfigError,
    Embedder,
    EngineBayError,
    Generator,
    ModelError,
    Progress,
    StepEngine,
)

_LoadedT = TypeVar("_LoadedT")


def load_engine(
    name: str, backend: Backend[Any], directory: Path, options: Any, progress: Progress
) -> Generator | StepEngine | Embedder:
    """``backend.load``, on a thread that ends with it; whatever it raises becomes ModelError."""
    try:
        return _run_alone(partial(backend.load, directory, options, progress), f"load-{name}")
    except (EngineBayError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ModelError(
            f"backend {name!r} failed to load the model: {type(error).__name__}: {error}"
        ) from error


def _run_alone(load: Callable[[], _LoadedT], name: str) -> _LoadedT:
    """OpenMP keeps a team of workers for every thread that has computed, until that thread ends.
    With more workers than cores they sleep between the operations of a step, which then takes half
    as long again: so no thread but the engine's may be left with a team.
    """
    outcome: Future[_LoadedT] = Future()

    def run() -> None:
        try:
            outcome.set_result(load())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    thread.join()
    return outcome.result()


def require_engine(
    name: str, engine: Generator | StepEngine | Embedder, *, queue_is_set: bool
) -> None:
    """Raises ModelError for what is no engine, and ConfigError, after closing it, for one that
    queues by itself where the config has a queue.
    """
    if isinstance(engine, StepEngine | Embedder):
        return
    if not isinstance(engine, Generator):
        raise ModelError(
            f"backend {name!r} loaded a {type(engine).__name__}, which is neither a "
            "StepEngine (spec, forward, sample, close) nor a Generator (limits, generate, close) "
            "nor an Embedder (spec, embed, close)"
        )
    if queue_is_set:
        engine.close()
        raise ConfigError(f"queue: backend {name!r} queues by itself; leave it out")


def capabilities_of(
    backend: Backend[Any], engine: Generator | StepEngine | Embedder
) -> Capabilities:
    """What the engine honours of a request to generate: an embedder nothing."""
    return Capabilities({}) if isinstance(engine, Embedder) else backend.capabilities(engine)
