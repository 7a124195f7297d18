"""From files to an engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from enginebay_core.api import EngineSpec, ModelError, Progress, StepEngine
from enginebay_optimum.engine import OptimumEngine, PastModel
from enginebay_optimum.graph_model import GraphModel, load_graph
from enginebay_optimum.kv_slots import KvSlots, bytes_per_token
from enginebay_optimum.libraries import quiet
from enginebay_optimum.options import DEFAULT_MAX_LENGTH, OptimumOptions
from enginebay_optimum.torch_model import TorchModel, load_torch

Sizes = Sequence[tuple[int, int]]


def open_graph(directory: Path, options: OptimumOptions) -> StepEngine:
    """Raises ModelError when the graph cannot be run or the KV does not fit."""
    with quiet():
        loaded = load_graph(directory, options.threads)
    sizes = graph_sizes(loaded)
    return make_engine(GraphModel(loaded), sizes, loaded.config, options)


def open_torch(model: Path, options: OptimumOptions, progress: Progress) -> StepEngine:
    """The checkpoint itself. ``threads`` is torch's, for the whole process."""
    with quiet():
        loaded = load_torch(model, progress)
    if options.threads:
        import torch  # noqa: PLC0415 - heavy

        torch.set_num_threads(options.threads)
    return make_engine(TorchModel(loaded), torch_sizes(loaded), loaded.config, options)


def graph_sizes(loaded: Any) -> Sizes:
    """(heads, dim) of each past input, of which the names are in the order of the layers."""
    shapes = [loaded.input_shapes[name] for name in loaded.key_value_input_names]
    if not shapes or any(len(shape) != 4 for shape in shapes):
        raise ModelError(
            f"the graph keeps {shapes[:1] or 'no keys and values'}, which this engine cannot fill; "
            'use backend = "transformers" for this model'
        )
    return [(int(shape[1]), int(shape[3])) for shape in shapes]


def torch_sizes(loaded: Any) -> Sizes:
    """As a first id leaves them."""
    import torch  # noqa: PLC0415 - heavy

    with torch.no_grad():
        kept = loaded(torch.zeros((1, 1), dtype=torch.long), use_cache=True).past_key_values
    layers = kept.to_legacy_cache()
    return [(tensor.shape[1], tensor.shape[3]) for layer in layers for tensor in layer]


def make_engine(model: PastModel, sizes: Sizes, config: Any, options: OptimumOptions) -> StepEngine:
    length = choose_length(getattr(config, "max_position_embeddings", None), options)
    each = bytes_per_token(sizes)
    spec = EngineSpec(
        vocab_size=config.vocab_size,
        max_length=length,
        max_sequences=options.max_sequences,
        kv_bytes=each * length * options.max_sequences,
        kv_bytes_per_token=each,
        kv_grain=1,
        rewind="any",
        batching="chunk",
        facts={
            "device": "cpu",
            "dtype": "float32",
            "engine": options.engine,
            "kv": f"{options.max_sequences} slots of {length} ids, copied with every step",
        },
    )
    return OptimumEngine(model, KvSlots(sizes, spec.max_sequences, length), spec)


def choose_length(trained: int | None, options: OptimumOptions) -> int:
    """Raises ModelError for more than the model has positions, or where it does not say."""
    if not isinstance(trained, int):
        raise ModelError("config.json has no max_position_embeddings, so no context length follows")
    length = options.max_length or min(trained, DEFAULT_MAX_LENGTH)
    if length > trained:
        raise ModelError(
            f"options.max_length is {length!r}, and the model has {trained} positions; lower it or "
            "leave it out"
        )
    return length
