"""Has a backend load a model, and looks at what it made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from enginebay_core.api import (
    Backend,
    ConfigError,
    EngineBayError,
    Generator,
    ModelError,
    Progress,
    StepEngine,
)


def load_engine(
    name: str, backend: Backend[Any], directory: Path, options: Any, progress: Progress
) -> Generator | StepEngine:
    """``backend.load``, with whatever it raises turned into ModelError."""
    try:
        return backend.load(directory, options, progress)
    except (EngineBayError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ModelError(
            f"backend {name!r} failed to load the model: {type(error).__name__}: {error}"
        ) from error


def require_engine(name: str, engine: Generator | StepEngine, *, queue_is_set: bool) -> None:
    """Raises ModelError for what is no engine, and ConfigError, after closing it, for one that
    queues by itself where the config has a queue.
    """
    if isinstance(engine, StepEngine):
        return
    if not isinstance(engine, Generator):
        raise ModelError(
            f"backend {name!r} loaded a {type(engine).__name__}, which is neither a "
            "StepEngine (spec, forward, sample, close) nor a Generator (limits, generate, close)"
        )
    if queue_is_set:
        engine.close()
        raise ConfigError(f"queue: backend {name!r} queues by itself; leave it out")
