"""Whether a checkpoint makes text or vectors."""

from __future__ import annotations

from typing import Final

from enginebay_core.api import read_pooling
from enginebay_transformers.checkpoint import Checkpoint
from enginebay_transformers.options import TransformersOptions

GENERATES: Final = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def embeds(checkpoint: Checkpoint, options: TransformersOptions) -> bool:
    """What the options say; else vectors are made by what sentence-transformers has written a
    recipe for, and by an architecture that is no language model.
    """
    if options.task != "auto":
        return options.task == "embed"
    if read_pooling(checkpoint.directory) is not None:
        return True
    names = [str(name) for name in checkpoint.config.get("architectures") or ()]
    return bool(names) and not any(name.endswith(GENERATES) for name in names)
