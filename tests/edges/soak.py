"""Good, bad and leaving clients for hours: ``python -m tests.edges.soak --minutes 60``.

The server runs in this process, its backend in another. After every round of load all clients
pause; what the server still holds then must not grow from round to round.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.edges.case import Case
from tests.edges.cases import own_cases
from tests.edges.target import GREEDY, descendants
from tests.server.conftest import TOY, Config, Running, running

MODEL = {**TOY, "placement": "process", "options": {"step_seconds": 0.001}}
CONFIG: Config = {"server": {"shutdown_seconds": 1}, "models": {"m": MODEL}}
ROUND_SECONDS = 10.0
TOKENS = 48
PROMPTS = [f"Tell me about the number {number}." for number in range(16)]


@dataclass(frozen=True)
class Sample:
    """What the server holds while nobody asks. ``resident``: MiB of all processes."""

    resident: float
    descriptors: int
    tasks: int
    threads: int
    sequences: int
    reserved: int


GROWTH = Sample(resident=32.0, descriptors=2, tasks=2, threads=2, sequences=0, reserved=0)
"""How much the last rounds may hold beyond the first: the allocator is not tidy, the rest is."""


@dataclass
class Load:
    """Clients of all kinds. ``wrong`` says what anybody got that was not right."""

    server: Running
    expected: dict[str, str]
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    pausing: threading.Event = field(default_factory=threading.Event)

    def run(self, seconds: float) -> None:
        """One round; returns when all clients have come to rest."""
        kinds: list[Callable[[httpx.Client, random.Random], None]]
        kinds = [self.good, self.good, self.streaming, self.bad, self.leaving, self.leaving]
        self.pausing.clear()
        threads = [
            threading.Thread(target=self._repeat, args=(kind, number))
            for number, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.pausing.set()
        for thread in threads:
            thread.join()

    def good(self, http: httpx.Client, chance: random.Random) -> None:
        prompt = chance.choice(PROMPTS)
        answer = http.post(self._url, json=question(prompt))
        text = answer.json()["choices"][0]["message"]["content"] if answer.is_success else ""
        self._require(text == self.expected[prompt], f"{answer.status_code} {text!r}")

    def streaming(self, http: httpx.Client, chance: random.Random) -> None:
        prompt = chance.choice(PROMPTS)
        body = {**question(prompt), "stream": True}
        with http.stream("POST", self._url, json=body) as answer:
            frames = [line[6:] for line in answer.iter_lines() if line.startswith("data: {")]
        choices = [json.loads(frame)["choices"] for frame in frames]
        text = "".join(c["delta"].get("content") or "" for some in choices for c in some)
        self._require(text == self.expected[prompt], f"stream {text!r}")

    def bad(self, http: httpx.Client, chance: random.Random) -> None:
        case = chance.choice(BAD)
        body = case.body.replace(b"{{model}}", b"m")
        answer = http.post(self.server.root + case.path, content=body)
        self._require(answer.status_code in case.allowed, f"{case.id}: {answer.status_code}")

    def leaving(self, http: httpx.Client, chance: random.Random) -> None:
        body = {**question(chance.choice(PROMPTS)), "max_tokens": 1000, "stream": True}
        with http.stream("POST", self._url, json=body) as answer:
            lines = answer.iter_lines()
            for _ in range(chance.randrange(20)):
                next(lines, None)

    @property
    def _url(self) -> str:
        return self.server.url + "/chat/completions"

    def _repeat(self, kind: Callable[[httpx.Client, random.Random], None], seed: int) -> None:
        chance = random.Random(seed + 1000 * self.counts.total())
        headers = {"Content-Type": "application/json"}
        with httpx.Client(timeout=30, verify=False, trust_env=False, headers=headers) as http:
            while not self.pausing.is_set():
                try:
                    kind(http, chance)
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    self.wrong.append(f"{kind.__name__}: {error!r}")
                self.counts[kind.__name__] += 1

    def _require(self, right: bool, what: str) -> None:
        if not right:
            self.wrong.append(what)


BAD: Sequence[Case] = [
    case
    for case in own_cases()
    if case.raw is None and not case.headers and case.method == "POST" and len(case.body) < 300_000
]


def question(prompt: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}]
    return {**GREEDY, "model": "m", "messages": messages, "max_tokens": TOKENS}


def sample(server: Running) -> Sample:
    """Once all is at rest, for which a second is enough."""
    deadline = time.monotonic() + 1.0
    while server.working("m") and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    gc.collect()
    processes = [os.getpid(), *descendants(os.getpid())]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in processes]
    return Sample(
        resident=round(sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        descriptors=len(os.listdir("/proc/self/fd")),
        tasks=len(asyncio.all_tasks(server.server.servers[0].get_loop())),
        threads=threading.active_count(),
        sequences=server.working("m"),
        reserved=server.service.intake.inside,
    )


def grown(samples: Sequence[Sample]) -> list[str]:
    """What the last third holds beyond the first, the first round of all left out."""
    settled = samples[1:]
    third = max(1, len(settled) // 3)
    found = []
    for name, allowed in asdict(GROWTH).items():
        first = min(getattr(one, name) for one in settled[:third])
        last = min(getattr(one, name) for one in settled[-third:])
        if last - first > allowed:
            found.append(f"{name} grew from {first} to {last}")
    return found


def soak(minutes: float) -> list[str]:
    """What went wrong; prints a line per round."""
    with running(CONFIG) as server:
        load = Load(server, {prompt: _alone(server, prompt) for prompt in PROMPTS})
        samples: list[Sample] = []
        ends = time.monotonic() + 60 * minutes
        for number in itertools.count():
            load.run(min(ROUND_SECONDS, 20 * minutes))
            samples.append(sample(server))
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(load.counts.items()))
            print(f"round {number}: {counts}; wrong: {len(load.wrong)}; {samples[-1]}", flush=True)
            if time.monotonic() >= ends and len(samples) >= 3:
                return [*load.wrong[:20], *grown(samples)]
    raise AssertionError


def _alone(server: Running, prompt: str) -> str:
    text: str = server.post(question(prompt)).json()["choices"][0]["message"]["content"]
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description="Load that never ends, and what it leaves.")
    parser.add_argument("--minutes", type=float, default=60.0)
    faults = soak(parser.parse_args().minutes)
    print("\n".join(faults) or "nothing wrong, nothing grew")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
