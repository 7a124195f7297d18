"""The graph that Transformers' own exporter makes, for architectures the builder does not know.

Needs torch, Transformers and onnxscript, at export alone. The sample it traces has a padded row:
from a mask of nothing but ones the exporter concludes that there is none.
"""

from __future__ import annotations

import contextlib
import io
import logging as logs
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import ModelError, Progress

PARTS: Final = {"keys": "key", "values": "value"}
FIXED: Final = ("input_ids", "attention_mask", "position_ids", "logits")


def write_plain_graph(model: Path, out: Path, reason: str, progress: Progress) -> None:
    """``reason`` says why the builder passed. Raises ModelError for models that keep anything but
    keys and values per id, and where something needed is not installed.
    """
    progress("importing torch and transformers")
    modules = import_exporter(reason)
    with quiet():
        progress("reading weights")
        loaded = load_model(model, modules)
        sample = make_sample(loaded, modules)
        progress("tracing the model")
        traced = trace(loaded, sample, modules)
        progress("writing the graph")
        rename(traced.graph)
        traced.metadata_props["layout"] = "plain"
        traced.metadata_props["max_positions"] = str(max_positions(loaded.config))
        save(traced, out)


def import_exporter(reason: str) -> Any:
    """torch, transformers and its exporters. Raises ModelError naming what is missing."""
    try:
        import onnxscript  # noqa: F401, PLC0415 - torch.onnx needs it
        import torch  # noqa: PLC0415
        import transformers  # noqa: PLC0415
        from transformers import exporters  # noqa: PLC0415
    except ImportError as error:
        raise ModelError(
            f"the graph of this model must be traced, since {reason}; that needs torch, "
            f"transformers and onnxscript ({error}): "
            "pip install './backends/onnx[cpu,transformers]'"
        ) from error
    return torch, transformers, exporters


def load_model(model: Path, modules: Any) -> Any:
    torch, transformers, _ = modules
    try:
        return transformers.AutoModelForCausalLM.from_pretrained(
            model, dtype=torch.float32, attn_implementation="eager", local_files_only=True
        ).eval()
    except Exception as error:  # loading fails in ways that vary with the architecture
        raise ModelError(f"Transformers cannot load the checkpoint: {error}") from error


def make_sample(loaded: Any, modules: Any) -> dict[str, Any]:
    """A step in the middle of two texts, the second of them shorter and so padded."""
    torch, transformers, _ = modules
    cache: Any = transformers.DynamicCache()
    ids = torch.tensor([[5, 6, 7, 8], [9, 1, 2, 3]])
    mask = torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1]])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        output: Any = loaded(
            ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
        )
    layers: Any = cache.layers
    kept = getattr(output, "past_key_values", None)
    if kept is not cache or any(getattr(one, "keys", None) is None for one in layers):
        raise ModelError(
            f"{type(loaded).__name__} keeps something else than keys and values, which no ONNX "
            'graph here carries; use backend = "transformers" for this model'
        )
    return {
        "input_ids": torch.tensor([[3, 4, 5], [6, 7, 8]]),
        "attention_mask": torch.cat([mask, torch.ones(2, 3, dtype=torch.long)], 1),
        "position_ids": torch.tensor([[4, 5, 6], [3, 4, 5]]),
        "past_key_values": cache,
        "use_cache": True,
    }


def trace(loaded: Any, sample: dict[str, Any], modules: Any) -> Any:
    """An ``onnx_ir.Model``. Raises ModelError with the exporter's reason."""
    exporters = modules[2]
    try:
        return (
            exporters.OnnxExporter()
            .export(loaded, sample, exporters.OnnxConfig(dynamic=True))
            .program
        )
    except Exception as error:  # what cannot be traced fails in ways of its own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"Transformers cannot export {type(loaded).__name__} to ONNX ({reason}); use backend = "
            '"transformers" for this model'
        ) from error


def save(traced: Any, out: Path) -> None:
    import onnx_ir  # noqa: PLC0415 - comes with onnxscript

    onnx_ir.save(traced, out / "model.onnx", external_data="model.weights")


def rename(graph: Any) -> None:
    """Keys and values as the engine calls them: past.0.key, present.0.value."""
    for values, word in ((graph.inputs, "past"), (graph.outputs, "present")):
        for value in values:
            if value.name in FIXED:
                continue
            *_, layer, part = value.name.split(".")
            if part not in PARTS or not layer.isdigit():
                raise ModelError(f"the traced graph has {value.name!r}, which no engine here fills")
            value.name = f"{word}.{layer}.{PARTS[part]}"


def max_positions(config: Any) -> int:
    """Raises ModelError where the config does not say."""
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(found, int):
        raise ModelError("config.json has no max_position_embeddings, so no context length follows")
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """torch.onnx prints, and its parts warn of each other."""
    from transformers import logging as theirs  # noqa: PLC0415 - imported by now

    logging: Any = theirs  # has no types
    progress_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    disabled = logs.root.manager.disable
    logs.disable(logs.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logs.disable(disabled)
        if progress_bars:
            logging.enable_progress_bar()
