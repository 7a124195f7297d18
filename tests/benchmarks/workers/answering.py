"""The child's end of ``peers.worker``: lines of JSON in, one line of JSON out for each."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers import AutoModelForCausalLM


@dataclass(frozen=True)
class Asked:
    """One sequence: prompt ids and how many to make."""

    ids: tuple[int, ...]
    max_tokens: int


@dataclass
class Made:
    """What came of it. Times are of ``time.monotonic``, which all processes of a machine share."""

    started: float
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    error: str = ""


class Runner(Protocol):
    """A loaded model."""

    device: torch.device

    def prepare(self, asks: Sequence[Asked]) -> None: ...

    def run(self, asks: Sequence[Asked]) -> list[Made]: ...

    def close(self) -> None: ...


def arguments() -> tuple[Path, dict[str, Any]]:
    """The model's directory, and the options."""
    return Path(sys.argv[1]), json.loads(sys.argv[2])


def answer(runner: Runner) -> None:
    """Until stdin ends. Lines go to the stdout this process began with; prints go to the log."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _write(replies, {"threads": torch.get_num_threads()})
    for line in sys.stdin:
        _write(replies, _reply(runner, json.loads(line)))
    runner.close()


def _reply(runner: Runner, said: Mapping[str, Any]) -> dict[str, Any]:
    asks = [Asked(tuple(ask["ids"]), ask["max_tokens"]) for ask in said["asks"]]
    match said["verb"]:
        case "bandwidth":
            return {"bytes_per_second": read_speed(runner.device)}
        case "prepare":
            runner.prepare(asks)
            return {}
        case _:
            return {"streams": [vars(made) for made in runner.run(asks)]}


def _write(replies: Any, value: Mapping[str, Any]) -> None:
    replies.write(json.dumps(value) + "\n")
    replies.flush()


def read_speed(device: torch.device, size: int = 1 << 30, turns: int = 8) -> float:
    """Bytes per second of the fastest of several sums over ``size`` bytes, far more than any
    cache holds: what a step that reads all weights once can hope for.
    """
    data = torch.ones(size // 4, device=device)
    best = 0.0
    for _ in range(turns):
        _wait(device)
        started = time.perf_counter()
        data.sum()
        _wait(device)
        best = max(best, size / (time.perf_counter() - started))
    return best


def load(model: Path, device: torch.device) -> Any:
    """The model as its checkpoint says, in bfloat16, ready to run."""
    loaded: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
    return loaded.to(device).eval()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
