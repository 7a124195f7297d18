"""Who says what a checkpoint computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from enginebay_core.api import EngineBayError, JsonValue, ModelError, Progress, StepEngine
from enginebay_core.config import parse_options
from enginebay_core.export.witness import Witness, call_witnesses
from enginebay_core.plugins import BACKENDS, list_plugins, load_backend


@dataclass(frozen=True)
class Reference:
    """A backend to believe, with the options under which it computes in float32. One that is not
    installed, or cannot run the model, is passed over.
    """

    backend: str
    options: Mapping[str, JsonValue]


def ask_reference(
    model: Path, references: Sequence[Reference], progress: Progress
) -> tuple[str, list[Witness]]:
    """The backend that answered, and what it said. Raises ModelError when none can."""
    installed = {plugin.name for plugin in list_plugins(BACKENDS)}
    reasons = []
    for reference in references:
        if reference.backend not in installed:
            reasons.append(f"{reference.backend} is not installed")
            continue
        try:
            return reference.backend, _ask(model, reference, progress)
        except Exception as error:  # a backend fails in ways of its own
            said = str(error) if isinstance(error, EngineBayError) else repr(error)
            reasons.append(f"{reference.backend}: {said}")
    raise ModelError(
        "an export must be compared with its checkpoint before it is served, and no backend here "
        f"can run the checkpoint ({'; '.join(reasons)}). Install backends/transformers, or run "
        "`enginebay export` where it is installed and serve the directory that it makes"
    )


def _ask(model: Path, reference: Reference, progress: Progress) -> list[Witness]:
    backend = load_backend(reference.backend)
    options = parse_options(backend, reference.options, reference.backend)
    engine = backend.load(model, options, progress)
    try:
        if not isinstance(engine, StepEngine):
            raise ModelError(f"{reference.backend!r} shows no logits, so it cannot be a reference")
        return call_witnesses(engine, progress)
    finally:
        engine.close()
