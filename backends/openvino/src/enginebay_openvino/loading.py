"""Opens an export in openvino-genai's pipeline."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, Final

import openvino_genai as genai

from enginebay_core.api import Limits, ModelError
from enginebay_core.export import Decoder, read_decoder, read_json
from enginebay_openvino.compiler import Compiler
from enginebay_openvino.generator import OpenVinoGenerator
from enginebay_openvino.grammar import Spelling, spelling_of
from enginebay_openvino.options import (
    DEFAULT_MAX_LENGTH,
    KV_BYTES,
    KV_PRECISIONS,
    KvPrecision,
    OpenVinoOptions,
)

BLOCK: Final = 32
"""Ids whose keys and values the CPU plugin keeps together."""


def open_generator(directory: Path, precision: str, options: OpenVinoOptions) -> OpenVinoGenerator:
    """Raises ModelError when OpenVINO cannot open it, or for more than the model has."""
    decoder = read_decoder(read_json(directory / "config.json"))
    length = context_length(decoder, options.max_length)
    kept = options.kv_precision or KV_PRECISIONS[precision]
    spelling = spelling_of(directory, decoder.vocab_size)
    make = partial(make_pipeline, directory, precision, kept, length, options, spelling=spelling)
    facts = {
        "device": "CPU",
        "precision": precision,
        "kv_precision": kept,
        "kv_bytes_per_token": f"{kv_bytes(decoder, kept):g}",
    }
    limits = Limits(decoder.vocab_size, length, facts, options.max_sequences)
    return OpenVinoGenerator(make, limits, spelling)


def context_length(decoder: Decoder, wanted: int | None) -> int:
    """Within a sliding window all attention is full, and the graph knows no other. Raises
    ModelError for more than that.
    """
    windows = [window for window in decoder.windows if window > 0]
    most = min([decoder.max_positions, *windows])
    if wanted is not None and wanted > most:
        what = "a sliding window" if windows and most == min(windows) else "positions"
        raise ModelError(f"max_length is {wanted}, and the model has {what} of {most}: lower it")
    return wanted or min(most, DEFAULT_MAX_LENGTH)


def kv_bytes(decoder: Decoder, kept: KvPrecision) -> float:
    return decoder.layers * 2 * decoder.kv_heads * decoder.head_dim * KV_BYTES[kept]


def make_pipeline(
    directory: Path,
    precision: str,
    kept: str,
    length: int,
    options: OpenVinoOptions,
    *,
    spelling: Spelling | None = None,
) -> tuple[Any, Compiler | None]:
    """Prompts are never shared between requests: the pipeline cannot keep tenants apart. Only with
    a ``spelling`` it can keep to grammars.
    """
    scheduling = genai.SchedulerConfig()
    scheduling.num_kv_blocks = options.max_sequences * math.ceil((length + 1) / BLOCK)
    scheduling.max_num_seqs = options.max_sequences
    scheduling.max_num_batched_tokens = max(options.max_batched_tokens, options.max_sequences)
    scheduling.dynamic_split_fuse = True
    scheduling.enable_prefix_caching = False
    settings: dict[str, object] = {
        "KV_CACHE_PRECISION": kept,
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    if options.threads is not None:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    try:
        if spelling is None:
            return genai.ContinuousBatchingPipeline(directory, scheduling, "CPU", settings), None
        tokenizer = spelling.tokenizer()
        pipeline = genai.ContinuousBatchingPipeline(
            directory, tokenizer, scheduling, "CPU", **settings
        )
        return pipeline, Compiler(tokenizer, len(spelling.tokens), spelling.end)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot open {directory}: {error}") from error
