"""Compiles grammars beside the pipeline, so that whoever runs goes on meanwhile."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import openvino_genai as genai

from enginebay_core.api import GenerationRequest, SamplingParams
from enginebay_core.export import Array, Decoder
from enginebay_openvino.graph import MODEL, DecoderGraph
from enginebay_openvino.sampling import generation_config, keep_to

log = logging.getLogger(__name__)


class Compiler:
    """A pipeline of its own, over a model that does nothing, with the real one's ``tokenizer``:
    that keeps what either compiles for both. openvino-genai lets go of Python's lock in
    ``generate``, and holds it in ``step``. Made when the first grammar comes.
    """

    def __init__(self, tokenizer: Any, vocab_size: int, end: int) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._stop = frozenset({end})
        self._pipeline: Any = None
        self._thread: threading.Thread | None = None

    def begin(self, grammar: str, done: Callable[[bool], None]) -> None:
        """Calls ``done`` on a thread of its own, once, with whether it went well; one at a time."""
        self._thread = threading.Thread(
            target=self._run, args=(grammar, done), name="openvino-grammar", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Returns when what has begun is done."""
        if self._thread is not None:
            self._thread.join()
        self._pipeline = self._tokenizer = None

    def _run(self, grammar: str, done: Callable[[bool], None]) -> None:
        try:
            if self._pipeline is None:
                self._pipeline = idle_pipeline(self._tokenizer, self._vocab_size)
            request = GenerationRequest((0,), 1, SamplingParams(temperature=0), self._stop)
            config = generation_config(request)
            keep_to(config, grammar, self._stop)
            self._pipeline.generate([ov.Tensor(np.zeros((1, 1), np.int64))], [config])
        except BaseException:  # whatever C++ raises: somebody waits
            log.exception("openvino cannot compile a grammar")
            done(False)
        else:
            done(True)


def idle_pipeline(tokenizer: Any, vocab_size: int) -> Any:
    scheduling = genai.SchedulerConfig()
    scheduling.num_kv_blocks = 1
    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(idle_model(vocab_size), Path(folder) / MODEL)
        return genai.ContinuousBatchingPipeline(
            Path(folder), tokenizer, scheduling, "CPU", INFERENCE_NUM_THREADS=1
        )


def idle_model(vocab_size: int) -> ov.Model:
    """The least that the pipeline takes: one layer of zeros."""
    width = 32
    decoder = Decoder(
        vocab_size=vocab_size,
        hidden_size=width,
        intermediate_size=width,
        layers=1,
        heads=1,
        kv_heads=1,
        head_dim=width,
        max_positions=width,
        epsilon=1e-6,
        tied=True,
        qkv_bias=False,
        output_bias=False,
        mlp_bias=False,
        qk_norm=False,
        windows=(-1,),
        rope={"rope_type": "default", "rope_theta": 10_000.0},
    )
    return DecoderGraph(decoder, _Zeros(), "int8").build(lambda stage, done=0, total=0: None)


class _Zeros:
    """Weights of any name."""

    def take(self, name: str, *shape: int) -> Array:
        return np.zeros(shape, np.float32)

    def drop(self, name: str) -> None:
        pass
