"""EngineBay's scheduler and engine without the server: what is left is HTTP's share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tests.benchmarks.workers.answering import Asked, Made, answer, arguments

from enginebay_core.api import GenerationRequest, SamplingParams
from enginebay_core.config import ModelConfig
from enginebay_core.placement import open_model


class Engine:
    """The generator that the server would drive, opened as it does."""

    def __init__(self, model: Path, options: dict[str, Any]) -> None:
        config = ModelConfig(backend="transformers", model=str(model), options=options)
        self._model = open_model("bench", config, lambda *_: None)
        self.device = torch.device(options["device"])

    def prepare(self, asks: Sequence[Asked]) -> None:
        self.run([Asked(ask.ids[:8], 4) for ask in asks])

    def run(self, asks: Sequence[Asked]) -> list[Made]:
        async def all_of_them() -> list[Made]:
            return await asyncio.gather(*(self._generate(ask) for ask in asks))

        return asyncio.run(all_of_them())

    def close(self) -> None:
        self._model.close()

    async def _generate(self, ask: Asked) -> Made:
        made = Made(time.monotonic())
        request = GenerationRequest(ask.ids, ask.max_tokens, SamplingParams(temperature=0.0))
        async for step in self._model.generator.generate(request):
            if step.ids:
                made.arrivals.append((time.monotonic(), len(step.ids)))
                made.ids += step.ids
        return made


if __name__ == "__main__":
    place, options = arguments()
    answer(Engine(place, options))
