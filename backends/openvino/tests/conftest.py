"""The bundled model and tiny random ones, exported once per run into a cache of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from enginebay_core.plugins import resolve_model


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def pocket() -> Path:
    return resolve_model("pocket", quiet)
