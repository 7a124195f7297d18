"""The bare loop: Transformers' forward and argmax on one static batch, and nothing else.

It pays its prefill. Of sdpa and eager it takes the one that was faster for the shape of the wave.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from tests.benchmarks.workers.answering import Asked, Made, answer, arguments, load
from transformers import DynamicCache

IMPLEMENTATIONS: Final = ("sdpa", "eager")
TRIAL: Final = 4
"""Steps of a trial, after which the rest is reckoned."""


class BareLoop:
    """All prompts of a wave have one length, and all answers too: a static batch is no more."""

    def __init__(self, model: Path, device: str) -> None:
        self.device = torch.device(device)
        self._model = load(model, self.device)
        self._chosen: dict[tuple[int, int], str] = {}

    def prepare(self, asks: Sequence[Asked]) -> None:
        shape = (len(asks), len(asks[0].ids))
        if shape not in self._chosen:
            times = {name: self._trial(asks, name) for name in IMPLEMENTATIONS}
            self._chosen[shape] = min(times, key=lambda name: times[name])

    def run(self, asks: Sequence[Asked]) -> list[Made]:
        shape = (len(asks), len(asks[0].ids))
        self._use(self._chosen.get(shape, IMPLEMENTATIONS[0]))
        return self._generate(asks, asks[0].max_tokens)

    def close(self) -> None:
        del self._model

    def _trial(self, asks: Sequence[Asked], name: str) -> float:
        """Seconds that the whole wave would take."""
        self._use(name)
        self._generate(asks, 2)
        times = self._generate(asks, TRIAL)[0]
        first = times.arrivals[0][0] - times.started
        step = (times.arrivals[-1][0] - times.arrivals[0][0]) / (TRIAL - 1)
        return first + step * (asks[0].max_tokens - 1)

    def _use(self, name: str) -> None:
        if self._model.config._attn_implementation != name:
            self._model.set_attn_implementation(name)

    @torch.inference_mode()
    def _generate(self, asks: Sequence[Asked], max_tokens: int) -> list[Made]:
        ids = torch.tensor([ask.ids for ask in asks], device=self.device)
        made = [Made(time.monotonic()) for _ in asks]
        cache = DynamicCache(config=self._model.config)
        for _ in range(max_tokens):
            output = self._model(ids, past_key_values=cache, logits_to_keep=1)
            ids = output.logits.argmax(-1)
            chosen = ids[:, 0].tolist()
            now = time.monotonic()
            for stream, token in zip(made, chosen, strict=True):
                stream.arrivals.append((now, 1))
                stream.ids.append(token)
        return made


if __name__ == "__main__":
    place, options = arguments()
    answer(BareLoop(place, options["device"]))
