"""The bare loop: Transformers' forward and argmax on one static batch, and nothing else.

It pays its prefill. Of sdpa and eager it takes the one that was faster for the shape of the wave.
A program of its own: ``-m tests.benchmarks.bare_loop MODEL DEVICE``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import torch
from tests.benchmarks.loop import Asked, Made, answer_waves
from transformers import AutoModelForCausalLM, DynamicCache

IMPLEMENTATIONS: Final = ("sdpa", "eager")
TRIAL: Final = 6
"""Tokens of a trial, from which the rest is reckoned."""


class BareLoop:
    """All prompts of a wave have one length, and all answers too: a static batch is no more."""

    def __init__(self, model: str, device: str) -> None:
        self._device = torch.device(device)
        loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
        for weight in loaded.parameters():  # a mapped file's pages may go while others run
            weight.data = weight.data.clone()
        self._model = loaded.to(self._device).eval()
        self._chosen: dict[tuple[int, int], str] = {}

    def prepare(self, asks: Sequence[Asked]) -> None:
        """Find the faster attention for this number of prompts and their length."""
        shape = _shape(asks)
        self._generate(asks[:1], 2)
        if shape not in self._chosen:
            times = {name: self._trial(asks, name) for name in IMPLEMENTATIONS}
            self._chosen[shape] = min(times, key=lambda name: times[name])

    def run(self, asks: Sequence[Asked]) -> list[Made]:
        self._use(self._chosen[_shape(asks)])
        return self._generate(asks, asks[0].max_tokens)

    def _trial(self, asks: Sequence[Asked], name: str) -> float:
        """Seconds that the whole wave would take."""
        self._use(name)
        made = self._generate(asks, TRIAL)[0]
        first, last = made.arrivals[0][0], made.arrivals[-1][0]
        return first - made.started + (last - first) / (TRIAL - 1) * (asks[0].max_tokens - 1)

    def _use(self, name: str) -> None:
        if self._model.config._attn_implementation != name:
            self._model.set_attn_implementation(name)

    @torch.inference_mode()
    def _generate(self, asks: Sequence[Asked], max_tokens: int) -> list[Made]:
        made = [Made(time.monotonic()) for _ in asks]
        ids = torch.tensor([ask.ids for ask in asks], device=self._device)
        cache = DynamicCache(config=self._model.config)
        for _ in range(max_tokens):
            output = self._model(ids, past_key_values=cache, logits_to_keep=1)
            ids = output.logits.argmax(-1)
            chosen = ids[:, 0].tolist()
            now = time.monotonic()
            for stream, token in zip(made, chosen, strict=True):
                stream.add(now, token)
        return made


def _shape(asks: Sequence[Asked]) -> tuple[int, int]:
    return len(asks), len(asks[0].ids)


if __name__ == "__main__":
    answer_waves(partial(BareLoop, *sys.argv[1:]))
