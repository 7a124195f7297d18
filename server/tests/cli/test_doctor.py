"""The doctor finds what is wrong and says what to do."""

import importlib.metadata
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.plugins import BACKENDS
from enginebay_server.cli import accelerator
from enginebay_server.cli.checks import (
    cache_directory,
    check_cache,
    check_extras,
    check_port,
    check_python,
    check_versions,
)

Run = Callable[..., Any]


def test_a_healthy_machine(tmp_path: Path) -> None:
    code = """
import sys
from enginebay_server.cli import main
try:
    main(["doctor", "--json"])
finally:
    print(sorted({"torch", "transformers", "fastapi"} & set(sys.modules)), file=sys.stderr)
"""
    child = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stdout + child.stderr
    assert child.stderr.splitlines()[-1] == "[]"
    found = json.loads(child.stdout)
    assert found["ok"] is True
    checks = {check["name"]: check for check in found["checks"]}
    assert all(set(check) == {"name", "state", "found", "repair"} for check in checks.values())
    assert checks["backend toy"]["state"] == "ok"
    assert (
        f"enginebay-core {importlib.metadata.version('enginebay-core')}"
        in checks["versions"]["found"]
    )
    assert str(tmp_path) in checks["model cache"]["found"]
    assert {"python", "machine", "nvidia", "torch", "extra hf", "port", "config"} <= set(checks)


def test_what_fails_is_named_with_its_repair(
    enginebay: Run, directory: Path, install_plugin: Callable[..., None]
) -> None:
    install_plugin("eb_exits", "raise SystemExit('no licence')", BACKENDS, exits="eb_exits:Backend")
    install_plugin("eb_one", "Backend = dict", BACKENDS, twice="eb_one:Backend")
    install_plugin("eb_two", "Backend = dict", BACKENDS, twice="eb_two:Backend")
    (directory / "enginebay.toml").write_text("[server]\nprot = 1\n")
    done = enginebay("doctor", ENGINEBAY_PORT="1")
    assert done.code == 1
    lines = done.out.splitlines()
    [exits] = [number for number, line in enumerate(lines) if "backend exits" in line]
    assert lines[exits].startswith("fail ")
    assert "no licence" in lines[exits]
    assert "uninstall eb_exits" in lines[exits + 1]
    assert len([line for line in lines if line.startswith("fail backend twice")]) == 2
    assert any(line.startswith("fail config: server.prot: unknown setting") for line in lines)
    assert any(line.startswith("warn config: ") and "ENGINEBAY_PORT" in line for line in lines)
    assert any(line.startswith("ok   backend toy") for line in lines)


def test_a_port_in_use_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("ENGINEBAY_SERVER__PORT", port)
        check = check_port(None)
        assert check.state == "warn"
        assert port in check.found
        assert "--port 0" in (check.repair or "")
    assert check_port(None).state == "ok"


def test_an_old_python_fails() -> None:
    assert check_python((3, 10, 4)).state == "fail"
    assert check_python((3, 11, 0)).state == "ok"


@pytest.mark.parametrize(
    ("versions", "state"),
    [
        ({"enginebay-core": "1", "enginebay-server": "1", "enginebay-mine": "9"}, "ok"),
        ({"enginebay-core": "1", "enginebay-server": "2"}, "fail"),
    ],
)
def test_core_and_server_must_be_of_one_release(versions: dict[str, str], state: str) -> None:
    assert check_versions(versions).state == state


def test_extras_are_read_from_the_distribution() -> None:
    requirements = [
        "pydantic<3,>=2.12",
        "no-such-tokenizers>=0.21; extra == 'hf'",
        'no-such-matcher<2,>=1.3; extra == "structured"',
        "pytest>=8; extra == 'testing'",
    ]
    found = {check.name: check for check in check_extras(requirements)}
    assert found["extra hf"].state == "warn"
    assert found["extra hf"].repair == 'pip install "enginebay-core[hf]"'
    assert found["extra structured"].state == "ok"
    assert "not installed" in found["extra structured"].found
    assert found["extra testing"].found == "installed"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
    ],
)
def test_the_cache_is_where_huggingface_hub_looks(variables: dict[str, str], expected: str) -> None:
    assert cache_directory(variables) == Path(expected)


def test_a_cache_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    assert check_cache(tmp_path / "not" / "yet").found.startswith(str(tmp_path))


def test_a_crashing_driver_costs_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho starting\necho no driver >&2\nexit 9\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert accelerator.look_at_nvidia() == "asking failed: no driver"
