"""A stream of bad input: each is answered in OpenAI's shape, and nobody else notices.

``ENGINEBAY_BAD_INPUTS`` may name a JSON file of further cases; ``shared/cases/bad_inputs.json``
beside the checkout is taken where it exists.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from tests.edges.case import Case, collected
from tests.edges.cases import own_cases
from tests.edges.sending import PROCEDURES, Got, Listener, send
from tests.edges.target import Streaming, Target, serving

CONFIG = """
[server]
limits = { read_seconds = 2.0 }
[models.m]
backend = "numpy"
model = "pocket"
[models.quick]
backend = "toy"
model = "toy"
placement = "process"
[models.slow]
backend = "toy"
model = "toy"
options = { step_seconds = 0.02 }
placement = "process"
"""
HEALTH_SECONDS = 0.1
GROWTH = 200 * 1024 * 1024
"""Bytes: a few large bodies may be in work at once, and the allocator keeps some of it."""
LEAK = 2_900_000
"""Bytes in a round; less than the smallest of the large requests."""


@dataclass
class Watch:
    """How all is before any case: it must be the same after each."""

    target: Target
    stream: Streaming
    listener: Listener
    canary: bytes
    processes: list[int]
    resident: int
    descriptors: int

    def check(self) -> None:
        assert self.target.health_seconds() < HEALTH_SECONDS
        assert self.target.canary() == self.canary
        self.stream.check()
        assert self.target.processes() == self.processes, "a process died or was started"
        assert self.target.resident() < self.resident + GROWTH
        assert self.listener.callers == 0, "the server called somebody"


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    with serving(tmp_path_factory.mktemp("edges"), CONFIG) as target, Listener() as listener:
        expected = target.ask("quick", 1500).json()["choices"][0]["message"]["content"]
        stream = Streaming(target, "slow", expected)
        canary = target.canary()
        yield Watch(
            target=target,
            stream=stream,
            listener=listener,
            canary=canary,
            processes=target.processes(),
            resident=target.resident(),
            descriptors=target.descriptors(),
        )
        stream.stop()
        assert stream.fault is None


def parameters() -> list[object]:
    cases = {case.id: case for case in own_cases()}
    for case in collected():
        name = case.id if case.id not in cases else f"{case.id} (collected)"
        cases[name] = replace(case, id=name)
    return [pytest.param(case, id=name) for name, case in cases.items()]


@pytest.mark.parametrize("case", parameters())
def test_nobody_else_notices(watch: Watch, case: Case) -> None:
    if case.procedure is not None and case.id not in PROCEDURES:
        pytest.skip(f"what {case.procedure!r} means is for a person")
    answers = (
        PROCEDURES[case.id](watch.target)
        if case.procedure is not None
        else send(case, watch.target, watch.listener.port)
    )
    for got in answers:
        assert got.status in case.allowed, (got.status, got.body[:300])
        assert got.status < 500
        require_shape(got, case)
    watch.check()
    if case.absent_file:
        assert not (watch.target.folder / case.absent_file).exists()


def require_shape(got: Got, case: Case) -> None:
    """Short, in OpenAI's shape, and without a word on what lies behind."""
    assert len(got.body) <= case.longest
    if case.forbidden:
        assert not re.search(case.forbidden, got.body.decode("utf-8", "replace"))
    if got.status < 400 or not got.body:
        return
    error = json.loads(got.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert not re.search(r"site-packages|Traceback|0x[0-9a-f]{8}|/home/", error["message"])
    if case.error_type:
        assert error["type"] == case.error_type


def test_z_nothing_was_left_behind(watch: Watch) -> None:
    """Memory and open files after hundreds of bad requests, and after the largest ones again: what
    leaks grows in every round, what an allocator keeps for the next one does not.
    """
    large = [case for case in own_cases() if 1_000_000 < len(case.body) < 10_000_000]
    assert len(large) > 3
    for case in large:
        send(case, watch.target, watch.listener.port)
    grown: list[int] = []
    while len(grown) < 20 and min(grown, default=LEAK) >= LEAK:
        before = watch.target.resident()
        for case in large:
            send(case, watch.target, watch.listener.port)
        grown.append(watch.target.resident() - before)
    assert min(grown) < LEAK, grown
    assert watch.target.descriptors() <= watch.descriptors + 4
    watch.check()
