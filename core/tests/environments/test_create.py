"""Environments are made whole, once, and again when what they hold has changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from enginebay_core.api import ModelError, PluginNotFound
from enginebay_core.environments import (
    State,
    create_environment,
    find_environment,
    interpreter_of,
    look_at,
    remove_environment,
    strays,
)
from enginebay_core.environments import create as making
from enginebay_core.environments.installer import choose_installer, run_logged
from enginebay_core.environments.probe import Probed, probe
from enginebay_core.environments.record import read_record

from .material import TOML, Declare

MARK = "import sys; print(sys.prefix)"


@pytest.fixture(autouse=True)
def only_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Core's own requirements are not installed here, so the plugin alone is imported; the test of
    a whole environment imports all.
    """
    monkeypatch.setattr(making, "prove", prove_little)


def prove_little(interpreter: Path, imports: tuple[str, ...], core: str) -> Probed:
    code = f"import {', '.join(imports)}"
    command = [str(interpreter), "-I", "-c", code]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    if child.returncode != 0:
        raise ModelError(child.stderr.strip().splitlines()[-1])
    return Probed(core, {}, {"eb_lone": "1.0"})


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


def state() -> State:
    return look_at(find_environment("lone")).state


def test_from_nothing_to_gone(declare: Declare, home: Path) -> None:
    package = declare(code="x = 1\n")
    assert state() is State.MISSING
    stages: list[str] = []
    create_environment("lone", lambda stage, *_: stages.append(stage))
    assert state() is State.READY
    assert any(stage.startswith("Installing collected") for stage in stages)
    python = interpreter_of("lone", "models.x")
    assert python.startswith(str(home / "lone"))
    said = subprocess.run([python, "-c", MARK], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(home / "lone")

    stages.clear()
    create_environment("lone", lambda stage, *_: stages.append(stage))
    assert stages == [], "what is ready is left alone"

    (package / "__init__.py").write_text("x = 2\n")
    assert state() is State.OUTDATED
    (kept := home / "lone" / "kept").touch()
    create_environment("lone", quiet)
    assert state() is State.READY
    assert kept.exists(), "only the changed code is installed again"
    code = "import eb_lone; print(eb_lone.x)"
    said = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "2\n"

    (package / "environment" / "constraints.txt").write_text("numpy==1\n")
    assert state() is State.OUTDATED
    remove_environment("lone", quiet)
    assert not (home / "lone").exists()
    with pytest.raises(PluginNotFound, match=r"no environment 'lone' to remove .made: none"):
        remove_environment("lone", quiet)
    with pytest.raises(PluginNotFound, match="no environment"):
        remove_environment("..", quiet)


def test_what_cannot_be_installed_or_imported_is_no_environment(
    declare: Declare, home: Path
) -> None:
    declare(TOML.replace('"eb_lone"]\nimports', '"eb_lone", "no-such-thing"]\nimports'))
    with pytest.raises(ModelError, match=r"(?s)'lone' could not be made.*no-such-thing"):
        create_environment("lone", quiet)
    assert state() is State.UNFINISHED
    package = declare(code="import no_such_module\n")
    with pytest.raises(ModelError, match="No module named 'no_such_module'"):
        create_environment("lone", quiet)
    assert state() is State.UNFINISHED
    (package / "__init__.py").write_text("")
    create_environment("lone", quiet)
    assert state() is State.READY


def test_a_kill_half_way_is_repaired(declare: Declare, home: Path) -> None:
    """Between the first file and the record: what is there is not trusted."""
    declare()
    half = home / "lone" / "lib"
    half.mkdir(parents=True)
    (half / "half.py").write_text("broken")
    assert state() is State.UNFINISHED
    create_environment("lone", quiet)
    assert state() is State.READY
    assert not (half / "half.py").exists()


def test_what_is_lost_of_it_comes_back(declare: Declare, home: Path) -> None:
    declare()
    create_environment("lone", quiet)
    (home / "lone" / "bin" / "python").unlink()
    assert state() is State.UNFINISHED
    create_environment("lone", quiet)
    assert state() is State.READY
    assert Path(interpreter_of("lone", "models.x")).exists()


def test_what_an_import_lacked_comes_back(
    declare: Declare, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the probe disliked may lie in what came from an index: all of it is new."""
    declare()
    create_environment("lone", quiet)
    [package] = (home / "lone").glob("lib/*/site-packages/eb_lone")
    (old := home / "lone" / "old").touch()
    monkeypatch.setattr(making, "prove", refuse)
    (declare() / "__init__.py").write_text("x = 3\n")
    with pytest.raises(ModelError, match="a library is damaged"):
        create_environment("lone", quiet)
    monkeypatch.setattr(making, "prove", prove_little)
    create_environment("lone", quiet)
    assert not old.exists()
    assert package.exists()


def refuse(*_: object) -> NoReturn:
    raise ModelError("a library is damaged")


def test_two_at_once_make_it_once(declare: Declare, home: Path) -> None:
    declare()
    told: list[list[str]] = [[], []]

    def make(number: int) -> None:
        create_environment("lone", lambda stage, *_: told[number].append(stage))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state() is State.READY
    makers = [stages for stages in told if any(stage.startswith("making ") for stage in stages)]
    assert len(makers) == 1
    assert any("waiting for another process" in stage for stages in told for stage in stages)


def test_an_installer_outlives_its_parent_with_the_lock(tmp_path: Path) -> None:
    """Else a second attempt would begin while the first one's installer still writes."""
    code = (
        "import sys; from pathlib import Path;"
        "from enginebay_core.environments.installer import run_logged;"
        "from enginebay_core.export.place import locked;"
        "quiet = lambda *_: print('told', flush=True);"
        "place = Path(sys.argv[1]);"
        "guard = locked(place / 'env', quiet, 'waiting'); lock = guard.__enter__();"
        "script = 'import time; print(\"Collecting x\", flush=True); time.sleep(1.5)';"
        "run_logged([sys.executable, '-c', script], place / 'log', lock, quiet)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "told\n"
        killed = time.monotonic()
        parent.send_signal(signal.SIGKILL)
        from enginebay_core.export.place import locked

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(tmp_path))
            with locked(tmp_path / "env", quiet, "waiting"):
                waited = time.monotonic() - killed
    assert waited > 0.7


def test_a_failed_installer_says_why(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        command = [sys.executable, "-c", "print('no room'); raise SystemExit(3)"]
        with pytest.raises(ModelError, match=r"(?s)exit code 3; the end of .*log:.*no room"):
            run_logged(command, tmp_path / "log", lock.fileno(), quiet)


def test_uv_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_installer(Path("/e/bin/python")).name == "pip"
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    found = choose_installer(Path("/e/bin/python"))
    assert found.name == "uv"
    assert found.install("x", index="https://i")[:5] == [
        str(tmp_path / "uv"),
        *("pip", "install", "--python", "/e/bin/python"),
    ]


def test_strays_are_found(declare: Declare, home: Path) -> None:
    declare()
    (home / "lone").mkdir(parents=True)
    (home / "gone").mkdir()
    assert strays() == [home / "gone"]
    assert read_record(home / "gone") is None


def test_a_probe_says_what_does_not_import() -> None:
    found = probe(Path(sys.executable), ("json", "no_such_module"))
    assert found.failed == {
        "no_such_module": "ModuleNotFoundError: No module named 'no_such_module'"
    }
    assert found.installed["pytest"]
    with pytest.raises(ModelError, match=r"took more than 0\.001 s"):
        probe(Path(sys.executable), ("json", "this"), seconds=0.001)
    with pytest.raises(ModelError, match="does not run"):
        probe(Path("/no/python"), ())
