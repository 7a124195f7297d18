"""Opens the backend under test, through the same doors as a user's config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import (
    Backend,
    Capabilities,
    ConfigError,
    Embedder,
    EngineOptions,
    Generator,
    JsonValue,
    StepEngine,
    Tokenizer,
)
from enginebay_core.config import ModelConfig, parse_options
from enginebay_core.placement import Placement, open_model
from enginebay_core.placement.checkpoint import read_checkpoint
from enginebay_core.placement.inline import make_generator
from enginebay_core.placement.loading import load_engine
from enginebay_core.plugins import MODELS, list_plugins, resolve_model
from enginebay_core.testing.recorder import Recorder

BUNDLED_MODEL: Final = "pocket"
NO_GENERATOR: Final = (
    "backend {!r} made an embedder of this model; test it with "
    "enginebay_core.testing.EmbedderContract"
)


@dataclass(frozen=True)
class Plan:
    """What to open, and where. ``make_tokenizer`` is called with the backend's own choice of a
    name. In a process of its own only what is installed can be opened: the tokenizer is then that
    of the name ``tokenizer``, or the backend's choice.
    """

    backend: str
    model: str
    options: Mapping[str, JsonValue]
    make_backend: Callable[[], Backend[Any]]
    make_tokenizer: Callable[[str, Path], Tokenizer]
    tokenizer: str | None = None
    placement: Placement = "inline"


@dataclass(frozen=True)
class Subject:
    """A loaded backend. ``engine`` is None when it brought a Generator of its own, or runs in
    another process.
    """

    name: str
    model: str
    options: type[EngineOptions]
    capabilities: Capabilities
    tokenizer: Tokenizer
    stop_ids: frozenset[int]
    engine: Recorder | None
    generator: Generator | None

    def close(self) -> None:
        if self.engine is not None:
            self.engine.shut()
        if self.generator is not None:
            self.generator.close()


def open_subject(plan: Plan) -> Subject:
    """Blocks. Raises ConfigError, PluginError or ModelError, as a start of the server would."""
    if plan.placement == "process":
        return _open_process(plan)
    backend = plan.make_backend()
    options = parse_options(backend, plan.options, "options")
    directory = resolve_model(plan.model, ignore_progress)
    tokenizer = plan.make_tokenizer(backend.tokenizer, directory)
    checkpoint = read_checkpoint(directory, tokenizer)
    engine = load_engine(plan.backend, backend, directory, options, ignore_progress)
    if isinstance(engine, Embedder):
        engine.close()
        raise ConfigError(NO_GENERATOR.format(plan.backend))
    config = ModelConfig(backend=plan.backend, model=plan.model)
    steps = isinstance(engine, StepEngine)
    return Subject(
        name=plan.backend,
        model=plan.model,
        options=backend.options,
        capabilities=backend.capabilities(engine),
        tokenizer=tokenizer,
        stop_ids=checkpoint.stop_ids,
        engine=Recorder(engine) if isinstance(engine, StepEngine) else None,
        generator=None if steps else make_generator(engine, config, tokenizer),
    )


def _open_process(plan: Plan) -> Subject:
    backend = plan.make_backend()
    config = ModelConfig(
        backend=plan.backend,
        model=plan.model,
        tokenizer=plan.tokenizer,
        options=dict(plan.options),
        placement="process",
    )
    running = open_model("contract", config, ignore_progress)
    if running.embeddings is not None:
        running.close()
        raise ConfigError(NO_GENERATOR.format(plan.backend))
    return Subject(
        name=plan.backend,
        model=plan.model,
        options=backend.options,
        capabilities=running.capabilities,
        tokenizer=running.tokenizer,
        stop_ids=running.stop_ids,
        engine=None,
        generator=running.generator,
    )


def default_model(backend: str) -> str:
    """The installed model of the backend's own name, else the bundled one."""
    installed = [plugin.name for plugin in list_plugins(MODELS)]
    for name in (backend, BUNDLED_MODEL):
        if name in installed:
            return name
    raise ConfigError(
        f"which model shall backend {backend!r} be tested on? No model named {backend!r} or "
        f"{BUNDLED_MODEL!r} is installed: set `model` in the class, or --model on the command "
        "line, to a directory, a Hugging Face id or an installed model"
    )


def ignore_progress(stage: str, done: int = 0, total: int = 0) -> None:
    """The kit shows its checks as they end, not how a model loads."""
