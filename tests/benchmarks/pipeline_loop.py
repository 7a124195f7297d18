"""openvino-genai's ContinuousBatchingPipeline, stepped by hand with nothing around it.

A program of its own: ``-m tests.benchmarks.pipeline_loop EXPORT STREAMS LENGTH``. What it is not
told is as openvino-genai has it by default.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import openvino as ov
import openvino_genai as genai
from tests.benchmarks.loop import Asked, Made, answer_waves, shorter

BLOCK: Final = 32
"""Ids per block of keys and values on the CPU."""

NEVER: Final = 2**31 - 1
"""It wants some id to end with, and the checkpoint has none."""


class PipelineLoop:
    """Room for ``streams`` sequences of ``length`` ids. All in bfloat16."""

    def __init__(self, export: str, streams: str, length: str) -> None:
        scheduling = genai.SchedulerConfig()
        scheduling.num_kv_blocks = int(streams) * math.ceil(int(length) / BLOCK)
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16",
            "KV_CACHE_PRECISION": "bf16",
            "INFERENCE_NUM_THREADS": int(os.environ["OMP_NUM_THREADS"]),
        }
        self._pipeline = genai.ContinuousBatchingPipeline(export, scheduling, "CPU", settings)

    def prepare(self, asks: Sequence[Asked]) -> None:
        self.run(shorter(asks))

    def run(self, asks: Sequence[Asked]) -> list[Made]:
        made = [Made(time.monotonic()) for _ in asks]
        handles = [self._add(number, ask) for number, ask in enumerate(asks)]
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
            now = time.monotonic()
            for handle, stream in zip(handles, made, strict=True):
                if handle.can_read():
                    [output] = handle.read().values()
                    stream.add(now, *output.generated_ids)
        return made

    def _add(self, number: int, ask: Asked) -> Any:
        config = genai.GenerationConfig()
        config.max_new_tokens = ask.max_tokens
        config.ignore_eos = True
        config.set_eos_token_id(NEVER)
        config.do_sample = False
        ids = ov.Tensor(np.array([ask.ids], np.int64))
        return self._pipeline.add_request(number, ids, config)


if __name__ == "__main__":
    answer_waves(partial(PipelineLoop, *sys.argv[1:]))
