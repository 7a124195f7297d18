"""Runs a backend in this process: the quickest way, but its crash is everybody's."""

from __future__ import annotations

from functools import partial

from enginebay_core.api import Embedder, Generator, Progress, StepEngine, Tokenizer
from enginebay_core.config import ModelConfig, parse_options
from enginebay_core.engine import CheckedGenerator, InlineEmbeddings, QueueLimits, StepGenerator
from enginebay_core.placement.checkpoint import read_checkpoint
from enginebay_core.placement.identity import identify
from enginebay_core.placement.loading import capabilities_of, load_engine, require_engine
from enginebay_core.placement.running import READY, Condition, RunningModel
from enginebay_core.plugins import backend_versions, load_backend, load_tokenizer, resolve_model
from enginebay_core.text import probe_template, spell_vocabulary


def open_inline(name: str, config: ModelConfig, progress: Progress) -> RunningModel:
    """As ``open_model``."""
    backend = load_backend(config.backend)
    options = parse_options(backend, config.options, f"models.{name}.options")
    directory = resolve_model(config.model, progress)
    chosen = config.tokenizer or backend.tokenizer
    tokenizer = load_tokenizer(chosen, directory)
    checkpoint = read_checkpoint(directory, tokenizer)
    engine = load_engine(config.backend, backend, directory, options, progress)
    generator = make_generator(engine, config, tokenizer)
    return RunningModel(
        name=name,
        backend=config.backend,
        model=config.model,
        generator=generator,
        tokenizer=tokenizer,
        capabilities=capabilities_of(backend, engine),
        template=probe_template(tokenizer),
        defaults=config.defaults.over(checkpoint.defaults),
        stop_ids=checkpoint.stop_ids_below(generator.limits.vocab_size),
        identity=identify(
            config.backend,
            chosen,
            directory,
            versions=backend_versions(config.backend),
            facts=generator.limits.facts,
        ),
        condition=partial(condition_of, generator, config.backend),
    )


def condition_of(generator: Generator, backend: str) -> Condition:
    """There is no process to start again: what is broken stays so. An engine with a scheduler of
    its own has no way to say that it is.
    """
    if not isinstance(generator, StepGenerator | InlineEmbeddings) or generator.broken is None:
        return READY
    return Condition("failed", f"backend {backend!r} is broken: {generator.broken}")


def make_generator(
    engine: Generator | StepEngine | Embedder, config: ModelConfig, tokenizer: Tokenizer
) -> Generator:
    """Core's scheduler over the engine, unless it has one of its own."""
    require_engine(config.backend, engine, queue_is_set="queue" in config.model_fields_set)
    queue = QueueLimits(config.queue.length, config.queue.seconds)
    if isinstance(engine, Embedder):
        return InlineEmbeddings(engine, config.backend, queue)
    grammars = config.grammar.limits()
    if not isinstance(engine, StepEngine):
        return CheckedGenerator(engine, grammars)
    return StepGenerator(
        engine,
        config.backend,
        queue,
        spell=partial(spell_vocabulary, tokenizer, engine.spec.vocab_size),
        grammars=grammars,
    )
