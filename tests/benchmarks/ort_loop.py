"""Optimum's ``ORTModelForCausalLM.generate`` with nothing around it, in one of two ways.

A program of its own, ``-m tests.benchmarks.ort_loop EXPORT WAY``, on the Python of the environment
`optimum`: "lone" makes one answer after another, as requests to a model behind a lock are answered;
"batch" makes all at once, which takes prompts of one length and one ``max_tokens``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import onnxruntime
import torch
from optimum.onnxruntime import ORTModelForCausalLM
from tests.benchmarks.loop import Asked, Made, answer_waves, shorter


class OrtLoop:
    """In float32, as the graph is. IO binding is off, as Optimum has it on a CPU."""

    def __init__(self, export: str, way: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        self._model = ORTModelForCausalLM.from_pretrained(
            export, session_options=options, use_io_binding=False, local_files_only=True
        )
        # Optimum takes heads for ``hidden_size / heads`` wide, which Qwen3's are not
        self._model.embed_size_per_head = self._model.config.head_dim
        self._group = {"lone": self._lone, "batch": self._batch}[way]

    def prepare(self, asks: Sequence[Asked]) -> None:
        self.run(shorter(asks))

    def run(self, asks: Sequence[Asked]) -> list[Made]:
        made = [Made(time.monotonic()) for _ in asks]
        self._group(asks, made)
        return made

    def _lone(self, asks: Sequence[Asked], made: Sequence[Made]) -> None:
        for ask, stream in zip(asks, made, strict=True):
            self._batch([ask], [stream])

    def _batch(self, asks: Sequence[Asked], made: Sequence[Made]) -> None:
        ids = torch.tensor([ask.ids for ask in asks])
        self._model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=asks[0].max_tokens,
            do_sample=False,
            streamer=Arrivals(made),
        )


class Arrivals:
    """A streamer, which ``generate`` first gives the prompts, and then an id of each per step."""

    def __init__(self, made: Sequence[Made]) -> None:
        self._made = made
        self._told = False

    def put(self, ids: Any) -> None:
        now = time.monotonic()
        if self._told:
            for stream, token in zip(self._made, ids.tolist(), strict=True):
                stream.add(now, token)
        self._told = True

    def end(self) -> None:
        """Nothing is held back."""


if __name__ == "__main__":
    answer_waves(partial(OrtLoop, *sys.argv[1:]))
