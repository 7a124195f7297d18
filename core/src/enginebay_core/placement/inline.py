"""Runs a backend in this process: the quickest way, but its crash is everybody's."""

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
from enginebay_core.config import ModelConfig, parse_options
from enginebay_core.engine import CheckedGenerator, QueueLimits, StepGenerator
from enginebay_core.placement.checkpoint import read_checkpoint
from enginebay_core.placement.running import RunningModel
from enginebay_core.plugins import load_backend, load_tokenizer, resolve_model
from enginebay_core.text import probe_template


def open_model(name: str, config: ModelConfig, progress: Progress) -> RunningModel:
    """Find, load and compose; blocks, so never on an event loop.

    ``name`` is the model's name in the config. Raises ConfigError, PluginError or ModelError.
    """
    backend = load_backend(config.backend)
    options = parse_options(backend, config.options, f"models.{name}.options")
    directory = resolve_model(config.model, progress)
    tokenizer = load_tokenizer(config.tokenizer or backend.tokenizer, directory)
    checkpoint = read_checkpoint(directory, tokenizer)
    engine = load_engine(config.backend, backend, directory, options, progress)
    return RunningModel(
        name=name,
        backend=config.backend,
        model=config.model,
        generator=make_generator(engine, config),
        tokenizer=tokenizer,
        capabilities=backend.capabilities(engine),
        template=probe_template(tokenizer),
        defaults=config.defaults.over(checkpoint.defaults),
        stop_ids=checkpoint.stop_ids,
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


def make_generator(engine: Generator | StepEngine, config: ModelConfig) -> Generator:
    """Core's scheduler over the engine, unless it has one of its own."""
    if isinstance(engine, StepEngine):
        queue = QueueLimits(config.queue.length, config.queue.seconds)
        return StepGenerator(engine, config.backend, queue)
    if isinstance(engine, Generator) and "queue" in config.model_fields_set:
        engine.close()
        raise ConfigError(f"queue: backend {config.backend!r} queues by itself; leave it out")
    if isinstance(engine, Generator):
        return CheckedGenerator(engine)
    raise ModelError(
        f"backend {config.backend!r} loaded a {type(engine).__name__}, which is neither a "
        "StepEngine (spec, forward, sample, close) nor a Generator (limits, generate, close)"
    )
