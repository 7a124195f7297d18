"""Whatever a backend does in one model's process, another model's stream comes whole, and the first
answers as before once it is back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.faulty import install
from tests.faults.served import Served, serving, wait

CRASHES = {
    "kill": "died of SIGKILL",
    "segfault": "died of SIGSEGV",
    "exit": "ended by itself with exit code 3",
    "hang": "the step did not end, while its process was alive",
    "hold": "hung in step",
    "native memory": "died of SIGABRT",
}
"""What ends the process, with what its client reads."""

FAILURES = ("raise", "memory")
"""What ends the requests of the step, and nothing else."""

LOADS = ("raise at load", "exit at load", "hang at load", "slow load")
"""What happens once while the process starts again after a crash."""

HASTY = "deadlines = { load = 12.0, compile = 3.0, step = 3.0 }\n"  # all load at once at first
NAMES = [*CRASHES, *FAILURES, "flood", *LOADS]


def model_of(fault: str) -> str:
    return fault.replace(" ", "-")


def config(orders: Path) -> str:
    steady = '[models.steady]\nbackend = "numpy"\nmodel = "pocket"\n'
    victims = (
        f'[models.{model_of(name)}]\nbackend = "faulty"\nmodel = "toy"\nplacement = "process"\n'
        f'options = {{ orders = "{orders / model_of(name)}" }}\n'
        + (HASTY if name.startswith(("hang", "hold")) else "")
        for name in NAMES
    )
    return "[server]\nport = 0\nshutdown_seconds = 1\n" + steady + "".join(victims)


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("orders")


@pytest.fixture(scope="module")
def served(orders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model for each fault, so that none has to wait long for its restart."""
    site = tmp_path_factory.mktemp("plugin") / "site"
    install(site)
    with serving(config(orders), {"PYTHONPATH": str(site)}) as started:
        yield started


@pytest.fixture(scope="module")
def whole(served: Served) -> str:
    return "".join(served.stream("steady"))


@pytest.mark.parametrize("fault", NAMES)
def test_nobody_else_notices(served: Served, orders: Path, whole: str, fault: str) -> None:
    model = model_of(fault)
    expected = served.text(model)
    order = f"exit\n{fault}\n" if fault in LOADS else fault
    (orders / model).write_text(order)
    asked: list[Any] = []
    client = threading.Thread(target=lambda: asked.append(served.ask(model)))
    received = ""
    for count, text in enumerate(served.stream("steady")):
        received += text
        if count == 20:
            client.start()
    assert received == whole, "a token of the other model was lost or changed"
    client.join(60)
    [answer] = asked
    check(fault, answer, expected)
    assert served.health == 200
    wait(lambda: served.status(model) == "ready")
    assert served.text(model) == expected
    assert not (orders / model).read_text(), "what was ordered has not happened"


def check(fault: str, answer: Any, expected: str) -> None:
    """What the client of the broken model is told."""
    if fault == "flood":
        assert answer.json()["choices"][0]["message"]["content"] == expected
        return
    error = answer.json()["error"]
    assert answer.status_code == 500
    assert "'faulty'" in error["message"]
    if fault in FAILURES:
        assert error["code"] == "engine_error"
    else:
        assert error["code"] == "engine_crashed"
        assert CRASHES.get(fault, CRASHES["exit"]) in error["message"]


def test_a_load_that_fails_is_that_models_affair(served: Served) -> None:
    """The others, one after another, have failed their loads and are back."""
    assert {served.status(model_of(name)) for name in NAMES} == {"ready"}
    assert served.status("steady") == "ready"
