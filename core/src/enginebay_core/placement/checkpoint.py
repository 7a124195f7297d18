"""What a checkpoint says about generating: its generation_config.json and config.json."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from enginebay_core.api import ModelError, Tokenizer
from enginebay_core.config import Defaults

log = logging.getLogger(__name__)

SAMPLING_KEYS: Final = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
END_TOKENS: Final = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>", "<end_of_turn>")
"""Ends of a turn in common templates, for checkpoints that name no end of their own."""


@dataclass(frozen=True, slots=True)
class CheckpointDefaults:
    """``stop_ids`` are those of the checkpoint, empty when it names none."""

    defaults: Defaults
    stop_ids: frozenset[int]

    def stop_ids_below(self, vocab_size: int) -> frozenset[int]:
        """Those that the engine can make. A tokenizer may have control tokens beyond the logits,
        and banning such an id in one row would fail its whole step.
        """
        beyond = sorted(token for token in self.stop_ids if not 0 <= token < vocab_size)
        if beyond:
            log.warning("the model makes no id over %d; no stop: %s", vocab_size - 1, beyond)
        return self.stop_ids.difference(beyond)


def read_checkpoint(model: Path, tokenizer: Tokenizer) -> CheckpointDefaults:
    """Raises ModelError when a file is not JSON or a value makes no sense."""
    generation = _read_json(model / "generation_config.json")
    config = _read_json(model / "config.json")
    ends = _ids(generation.get("eos_token_id")) or _ids(config.get("eos_token_id"))
    return CheckpointDefaults(_defaults(generation), ends or _known_ends(tokenizer))


def _defaults(generation: Mapping[str, Any]) -> Defaults:
    said = {key: generation[key] for key in SAMPLING_KEYS if generation.get(key) is not None}
    try:
        return Defaults.model_validate(said)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ModelError(
            f"generation_config.json: {fault['loc'][0]!r} is {fault['input']!r}: {fault['msg']}"
        ) from None


def _ids(value: int | list[int] | None) -> frozenset[int]:
    if value is None:
        return frozenset()
    return frozenset([value] if isinstance(value, int) else value)


def _known_ends(tokenizer: Tokenizer) -> frozenset[int]:
    return frozenset(tokenizer.control[text] for text in END_TOKENS if text in tokenizer.control)


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path.name} of the model is not JSON: {error}") from error
    if not isinstance(read, dict):
        raise ModelError(f"{path.name} of the model is not a JSON object")
    return read
