"""The whole load, as a list of verbs."""

from __future__ import annotations

import logging

from enginebay_core.api import Progress, StepEngine
from enginebay_transformers.causal_model import CausalModel
from enginebay_transformers.checkpoint import Checkpoint
from enginebay_transformers.choice import choose_engine
from enginebay_transformers.hardware import choose_device, choose_dtype
from enginebay_transformers.options import TransformersOptions
from enginebay_transformers.weights import load_model, naming_errors, reporting

logger = logging.getLogger(__name__)


def load_engine(
    checkpoint: Checkpoint, options: TransformersOptions, progress: Progress
) -> StepEngine:
    """Raises ModelError; what was loaded until then is freed."""
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, checkpoint, device)
    progress("reading weights")
    model = CausalModel(load_model(checkpoint, options, device, dtype, progress))
    try:
        progress("checking the model")
        with reporting(progress), naming_errors(checkpoint):
            engine = choose_engine(model, options, progress)
    except BaseException:
        model.close()
        raise
    facts = engine.spec.facts.items()
    logger.info("loaded: %s", ", ".join(f"{name} {value}" for name, value in facts))
    return engine
