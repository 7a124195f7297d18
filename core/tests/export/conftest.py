"""A format that needs nothing but core: the toy engine's options, written to a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from enginebay_core.plugins import EXPORTERS

EXPORTER = """
    import json, os, time
    from pathlib import Path
    from enginebay_core.export import Reference
    from enginebay_core.toy import ToyEngine

    class Broken(ToyEngine):
        '''Forgets, as a graph with a dropped mask does, where each row of a batch ends.'''
        def forward(self, batch):
            longest = max(row.start for row in batch.rows)
            return super().forward(batch) * (1 if longest == batch.rows[0].start else 2)

    class Exporter:
        precisions = ("fp32", "int8")
        references = (Reference("absent", {}), Reference("toy", {"max_sequences": 1}))

        def versions(self, model):
            return {"copier": os.environ.get("COPIER", "1")}

        def write(self, model, out, precision, progress):
            count = Path(os.environ["COUNT"])
            with count.open("a") as file:
                file.write("x")
            progress("copying")
            (out / "graph.json").write_text((model / "config.json").read_text())
            (out / "large.bin").write_bytes(bytes(1000))
            time.sleep(json.loads((model / "config.json").read_text()).get("seconds", 0))
            return {"kind": "copy"}

        def open(self, exported, precision, progress):
            assert not list(exported.glob("enginebay-export.json"))
            fault = json.loads((exported / "graph.json").read_text()).get("fault")
            if fault == "crash":
                os._exit(7)
            return Broken(batching="chunk") if fault == "mask" else ToyEngine(batching="chunk")
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    return tmp_path / "cache" / "enginebay"


@pytest.fixture(autouse=True)
def copier(install_plugin: Callable[..., Path]) -> None:
    """The exporter ``copy``, for this process and its children."""
    install_plugin("eb_copier", EXPORTER, EXPORTERS, copy="eb_copier:Exporter")


@pytest.fixture
def count(tmp_path: Path) -> Callable[[], int]:
    """How often something was written."""
    return lambda: len((tmp_path / "count").read_text()) if (tmp_path / "count").exists() else 0


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """A directory with a config.json of these keys."""

    def make(name: str = "model", **config: object) -> Path:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        (directory / "config.json").write_text(json.dumps(config))
        (directory / "chat_template.jinja").write_text("{{ messages }}")
        return directory

    return make
