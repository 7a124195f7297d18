"""Transformers' continuous batching without its server: the manager that the server drives."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tests.benchmarks.workers.answering import Asked, Made, answer, arguments, load
from transformers import ContinuousBatchingConfig, GenerationConfig

NO_STOP = -1


class ContinuousBatching:
    """One manager for all waves, with its defaults but for the size of its cache on a CPU."""

    def __init__(self, model: Path, device: str, blocks: int | None) -> None:
        self.device = torch.device(device)
        greedy: Any = GenerationConfig
        self._model = load(model, self.device)
        self._manager = self._model.init_continuous_batching(
            generation_config=greedy(do_sample=False, eos_token_id=NO_STOP),
            continuous_batching_config=ContinuousBatchingConfig(num_blocks=blocks),
        )
        self._manager.start()
        self._count = 0

    def prepare(self, asks: Sequence[Asked]) -> None:
        self.run([Asked(ask.ids[:8], 4) for ask in asks])

    def run(self, asks: Sequence[Asked]) -> list[Made]:
        made: dict[str, Made] = {}
        for ask in asks:
            self._count += 1
            made[str(self._count)] = Made(time.monotonic())
            self._manager.add_request(
                list(ask.ids),
                request_id=str(self._count),
                max_new_tokens=ask.max_tokens,
                eos_token_id=NO_STOP,
                streaming=True,
            )
        self._collect(made)
        return list(made.values())

    def close(self) -> None:
        self._manager.stop(block=True, timeout=10)

    def _collect(self, made: dict[str, Made]) -> None:
        """Outputs hold all ids so far."""
        open_ones = set(made)
        while open_ones:
            output = self._manager.get_result(timeout=1)
            if output is None:
                if not self._manager.is_running():
                    raise RuntimeError("the manager's thread has ended")
                continue
            one = made[output.request_id]
            new = output.generated_tokens[len(one.ids) :]
            if new:
                one.arrivals.append((time.monotonic(), len(new)))
                one.ids += new
            if output.is_finished():
                one.error = output.error or ""
                open_ones.discard(output.request_id)


if __name__ == "__main__":
    place, options = arguments()
    answer(ContinuousBatching(place, options["device"], options["blocks"]))
