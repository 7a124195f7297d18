"""Opens a model whose engine gets a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from enginebay_core.api import EmbeddingSpec, Progress, Tokenizer
from enginebay_core.config import ModelConfig
from enginebay_core.environments import environment_of, interpreter_of
from enginebay_core.placement.checkpoint import CheckpointDefaults, read_checkpoint
from enginebay_core.placement.identity import Identity, identify
from enginebay_core.placement.process import wire
from enginebay_core.placement.process.embeddings import ProcessEmbeddings
from enginebay_core.placement.process.generator import ProcessGenerator
from enginebay_core.placement.process.starting import start_with
from enginebay_core.placement.process.supervisor import Supervisor
from enginebay_core.placement.process.worker import Launch
from enginebay_core.placement.running import RunningModel
from enginebay_core.plugins import load_tokenizer, resolve_model
from enginebay_core.text import probe_template, spell_vocabulary


def open_process(name: str, config: ModelConfig, progress: Progress) -> RunningModel:
    """As ``open_model``. Files are found and downloaded here, and loaded there."""
    launch = launch_of(name, config)
    text = _TextSide(config, progress)
    started = start_with(launch, text.open, progress)
    size = started.loaded.limits.vocab_size
    spell = partial(spell_vocabulary, text.tokenizer, size)
    supervisor = Supervisor(launch, text.directory, started, spell)
    return RunningModel(
        name=name,
        backend=config.backend,
        model=config.model,
        generator=_generator(supervisor, launch, started.loaded.embedding),
        tokenizer=text.tokenizer,
        capabilities=started.loaded.capabilities(),
        template=probe_template(text.tokenizer),
        defaults=config.defaults.over(text.checkpoint.defaults),
        stop_ids=text.checkpoint.stop_ids_below(size),
        identity=text.identity(started.loaded.limits.facts),
        condition=lambda: supervisor.condition,
        restarts=lambda: supervisor.restarted,
    )


def _generator(
    supervisor: Supervisor, launch: Launch, embedding: EmbeddingSpec | None
) -> ProcessGenerator | ProcessEmbeddings:
    if embedding is not None:
        return ProcessEmbeddings(supervisor, embedding)
    return ProcessGenerator(supervisor, launch.grammars)


def launch_of(name: str, config: ModelConfig) -> Launch:
    queue = config.queue if "queue" in config.model_fields_set else None
    return Launch(
        name=name,
        backend=config.backend,
        options=config.options,
        queue=(queue.length, queue.seconds) if queue else None,
        python=config.python or _interpreter(name, config),
        pass_env=tuple(config.pass_env),
        deadlines=config.deadlines,
        restarts=config.restarts,
        grammars=config.grammar.limits(),
    )


def _interpreter(name: str, config: ModelConfig) -> str | None:
    """That of the model's environment; None is the server's own."""
    environment = config.environment or environment_of(config.backend)
    return interpreter_of(environment, f"models.{name}") if environment else None


@dataclass
class _TextSide:
    """What the server keeps of a model, opened once the backend has named its tokenizer."""

    config: ModelConfig
    progress: Progress
    directory: Path = field(init=False)
    tokenizer: Tokenizer = field(init=False)
    checkpoint: CheckpointDefaults = field(init=False)
    described: wire.Described = field(init=False)

    def open(self, described: wire.Described) -> Path:
        self.described = described
        self.directory = resolve_model(self.config.model, self.progress)
        self.tokenizer = load_tokenizer(self._chosen, self.directory)
        self.checkpoint = read_checkpoint(self.directory, self.tokenizer)
        return self.directory

    def identity(self, facts: Mapping[str, str]) -> Identity:
        """``facts`` are the loaded engine's."""
        return identify(
            self.config.backend,
            self._chosen,
            self.directory,
            versions=self.described.versions,
            facts=facts,
        )

    @property
    def _chosen(self) -> str:
        return self.config.tokenizer or self.described.tokenizer
