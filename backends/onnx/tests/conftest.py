"""Exports of the bundled model and of tiny random ones, and a cache of the test run's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import StepEngine
from enginebay_core.plugins import resolve_model
from enginebay_onnx import OnnxExporter, OnnxOptions
from enginebay_onnx.loading import open_engine

Engines = Callable[..., Any]


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Workers of one run export the bundled model once between them: the lock sees to it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(shared / "cache")
    yield shared / "cache"
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def pocket() -> Path:
    return resolve_model("pocket", quiet)


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str], Path]:
    """``written(model, precision)``: the graph of a checkpoint, not yet proved."""
    made: dict[tuple[Path, str], Path] = {}

    def write(model: Path, precision: str) -> Path:
        if (model, precision) not in made:
            out = tmp_path_factory.mktemp("graph")
            OnnxExporter().write(model, out, precision, quiet)
            made[model, precision] = out
        return made[model, precision]

    return write


@pytest.fixture
def load(written: Callable[[Path, str], Path], pocket: Path) -> Iterator[Engines]:
    """``load(model, precision, **options)``, by default the bundled one in fp32."""
    engines: list[StepEngine] = []

    def open_one(model: Path = pocket, precision: str = "fp32", **options: Any) -> StepEngine:
        settings = OnnxOptions(**{"threads": 1, "max_sequences": 4, "max_length": 160, **options})
        engines.append(open_engine(written(model, precision), precision, settings))
        return engines[-1]

    yield open_one
    for engine in engines:
        if vars(engine).get("_session"):
            engine.close()
