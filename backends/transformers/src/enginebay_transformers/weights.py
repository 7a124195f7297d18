"""From files to a model in memory, with one clear error for all that can be wrong."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

import torch
import transformers
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as transformers_logging

from enginebay_core.api import ModelError, Progress
from enginebay_transformers.checkpoint import Checkpoint
from enginebay_transformers.options import TransformersOptions

SHOWN: int = 3
"""Names that an error lists before it counts the rest."""

_one_load = threading.Lock()  # Transformers keeps its progress hook and log level per process


def load_model(
    checkpoint: Checkpoint,
    options: TransformersOptions,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
) -> PreTrainedModel:
    """The model, with every weight from the checkpoint, on its device or devices.

    Raises ModelError. Nothing is downloaded, and nothing is printed.
    """
    check_known(checkpoint, options)
    with reporting(progress), naming_errors(checkpoint):
        config = load_config(checkpoint, options)
        check_generates(checkpoint, config)
        model, report = read_weights(
            AutoModelForCausalLM, checkpoint, config, options, device=device, dtype=dtype
        )
    check_complete(checkpoint, report)
    return model


def load_encoder(
    checkpoint: Checkpoint,
    options: TransformersOptions,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress,
) -> PreTrainedModel:
    """The same without the head: what makes the hidden states. Raises ModelError."""
    check_known(checkpoint, options)
    with reporting(progress), naming_errors(checkpoint):
        config = load_config(checkpoint, options)
        model, report = read_weights(
            AutoModel, checkpoint, config, options, device=device, dtype=dtype
        )
        if "input_ids" not in inspect.signature(model.forward).parameters:
            raise ModelError(
                f"{str(checkpoint.directory)!r} is a {config.model_type!r} model, which reads no "
                "text"
            )
    pooler = {name for name in report["missing_keys"] if "pooler" in name.split(".")}
    check_complete(checkpoint, {**report, "missing_keys": set(report["missing_keys"]) - pooler})
    return model


def read_weights(
    auto: Any,
    checkpoint: Checkpoint,
    config: PreTrainedConfig,
    options: TransformersOptions,
    *,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model, and Transformers' own report of how it was filled."""
    places: Any = options.device_map or {"": device}
    loaded: tuple[PreTrainedModel, dict[str, Any]] = auto.from_pretrained(
        checkpoint.directory,
        config=config,
        dtype=dtype,
        device_map=places,
        attn_implementation=options.attn_implementation,
        trust_remote_code=options.trust_remote_code,
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # so that the report says which
    )
    return loaded


def load_config(checkpoint: Checkpoint, options: TransformersOptions) -> PreTrainedConfig:
    config: PreTrainedConfig = AutoConfig.from_pretrained(
        checkpoint.directory,
        trust_remote_code=options.trust_remote_code,
        local_files_only=True,
    )
    if config.is_encoder_decoder:
        raise ModelError(
            f"{str(checkpoint.directory)!r} is an encoder-decoder ({config.model_type!r}); this "
            "backend serves decoders, which continue a text, and encoders"
        )
    return config


def check_generates(checkpoint: Checkpoint, config: PreTrainedConfig) -> None:
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    if not known and "AutoModelForCausalLM" not in (getattr(config, "auto_map", None) or {}):
        raise ModelError(
            f"{str(checkpoint.directory)!r} is a {config.model_type!r} model, which Transformers "
            "has no causal language model for; it does not generate text"
        )


def check_known(checkpoint: Checkpoint, options: TransformersOptions) -> None:
    """Before Transformers is asked: it would speak of a hub, or of a prompt at the terminal."""
    kind = checkpoint.config["model_type"]
    if kind in CONFIG_MAPPING or options.trust_remote_code:
        return
    if "auto_map" in checkpoint.config:
        raise ModelError(
            f"{str(checkpoint.directory)!r} ({kind!r}) runs only with Python code that lies beside "
            "its weights; read that code, then set options.trust_remote_code = true"
        )
    raise ModelError(
        f"{str(checkpoint.directory)!r} is a {kind!r} model, which transformers "
        f"{transformers.__version__} does not know; a newer transformers may"
    )


def check_complete(checkpoint: Checkpoint, report: dict[str, Any]) -> None:
    """Transformers fills in absent weights at random and says so in a log; here it is an error."""
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"{str(checkpoint.directory)!r} lacks weights that its config.json asks for: "
            f"{listed(missing)}; the two do not belong together, or the download is incomplete"
        )
    if wrong := sorted(report["mismatched_keys"], key=str):
        name, found, asked = wrong[0]
        raise ModelError(
            f"{str(checkpoint.directory)!r} has {len(wrong)} weights of other shapes than its "
            f"config.json asks for, first of all {name!r}: {tuple(found)} instead of "
            f"{tuple(asked)}; the two do not belong together"
        )


def listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more


@contextmanager
def naming_errors(checkpoint: Checkpoint) -> Iterator[None]:
    """Whatever goes wrong inside, in any of the libraries, is this checkpoint's ModelError."""
    where = repr(str(checkpoint.directory))
    try:
        yield
    except ModelError:
        raise
    except UnpicklingError as error:  # whose own advice is to run what is in the file
        raise ModelError(
            f"{where} has a weight file that is damaged or holds more than tensors; download it "
            "again, as safetensors if there are any"
        ) from error
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelError(
            f"{where} does not fit into memory ({first_line(error)}); use a smaller dtype or "
            "model, or spread it with options.device_map"
        ) from error
    except Exception as error:  # third-party code, which documents no error types
        raise ModelError(f"{where} cannot be loaded: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


@contextmanager
def reporting(progress: Progress) -> Iterator[None]:
    """Send Transformers' progress bars to ``progress`` and keep its log to errors meanwhile."""

    def replace_bar(
        factory: Callable[..., Any], args: tuple[Any, ...], settings: dict[str, Any]
    ) -> ReportedProgress:
        return ReportedProgress(progress, *args, **settings)

    with _one_load:
        verbosity = transformers_logging.get_verbosity()
        hook = transformers_logging.set_tqdm_hook(replace_bar)
        transformers_logging.set_verbosity(logging.CRITICAL)
        try:
            yield
        finally:
            transformers_logging.set_verbosity(verbosity)
            transformers_logging.set_tqdm_hook(hook)


class ReportedProgress:
    """Stands in for a tqdm bar over an iterable."""

    def __init__(
        self,
        progress: Progress,
        iterable: Iterable[Any] = (),
        *,
        desc: str = "reading weights",
        total: int | None = None,
        **_settings: Any,
    ) -> None:
        self._progress = progress
        self._items = iterable
        self._stage = desc.lower()
        self._total = total or getattr(iterable, "__len__", int)()
        self._done = 0

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            yield item
            self.update()

    def update(self, count: int = 1) -> None:
        self._done += count
        self._progress(self._stage, self._done, self._total)

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> ReportedProgress:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
