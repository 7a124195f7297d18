"""deploy/Dockerfile: its own steps, run without Docker; and Docker itself, where there is one."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.packaging.conftest import ROOT, free_port, greet, run, wait_until_healthy

FILE = ROOT / "deploy" / "Dockerfile"
KEY = "sk-container"


def instructions(stage: int) -> list[tuple[str, str]]:
    """Of one stage, in order, as (name, rest); lines that go on are joined."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", FILE.read_text(), flags=re.MULTILINE))
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    lines = stages[stage].splitlines()[1:]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line]


def environment(prefix: Path, home: Path) -> dict[str, str]:
    """What ENV says, in places of this test's own."""
    said: dict[str, str] = {}
    for name, rest in instructions(1):
        if name == "ENV":
            said |= dict(word.split("=", 1) for word in shlex.split(rest))
    places = {"/opt/enginebay": str(prefix), "/var/lib/enginebay": str(home)}
    for name in said:
        for there, here in places.items():
            said[name] = said[name].replace(there, here)
        said[name] = said[name].replace("$PATH", os.environ["PATH"])
    return said


def context(directory: Path) -> Path:
    """The files that Docker would see, as the ignore file says."""
    rules = (FILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    kept = {rule[1:] for rule in rules if rule.startswith("!")}
    left_out = [rule.removeprefix("**/") for rule in rules if rule.startswith("**/")]
    directory.mkdir()
    for name in kept:
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns(*left_out)
            shutil.copytree(source, directory / name, ignore=ignore)
        else:
            shutil.copy(source, directory / name)
    assert not any(fnmatch.fnmatch(path.name, "test_*.py") for path in directory.rglob("*.py"))
    return directory


@contextmanager
def container(prefix: Path, home: Path, port: int) -> Iterator[dict[str, str]]:
    """ENTRYPOINT and CMD as they stand, with a key; yields the environment that they run in."""
    rest = dict(instructions(1))
    command = [*json.loads(rest["ENTRYPOINT"]), *json.loads(rest["CMD"])]
    own = {
        **environment(prefix, home),
        "ENGINEBAY_SERVER__HOST": "127.0.0.1",  # else as in the container
        "ENGINEBAY_SERVER__PORT": str(port),
    }
    server = subprocess.Popen(command, env=own, cwd=home)
    try:
        wait_until_healthy(server, port, 60)
        yield own
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


@pytest.mark.environments
@pytest.mark.timeout(900)
def test_its_steps_make_an_installation_that_serves(tmp_path: Path) -> None:
    prefix, home = tmp_path / "opt", tmp_path / "home"
    home.mkdir()
    arguments = {"EXTRAS": "otel", "TORCH_INDEX": ""}
    source = context(tmp_path / "src")
    for name, rest in instructions(0):
        if name == "RUN":
            step = rest.replace("/opt/enginebay", str(prefix))
            step = re.sub(r"^python ", f"{sys.executable} ", step)
            run(["sh", "-euc", step], cwd=source, env={**os.environ, **arguments})
    shutil.rmtree(source)
    port = free_port()
    with container(prefix, home, port) as own:
        assert "EngineBay" in greet(port)["choices"][0]["message"]["content"]
        check = json.loads(dict(instructions(1))["HEALTHCHECK"].partition("CMD ")[2])
        run(check, env=own)
    assert subprocess.run(check, env=own, capture_output=True, check=False).returncode
    run([str(prefix / "bin" / "python"), "-c", "import opentelemetry.sdk.trace"])


def test_it_runs_as_nobody_in_particular() -> None:
    names = [name for name, _ in instructions(1)]
    assert dict(instructions(1))["USER"] == "enginebay"
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert "RUN" not in names[names.index("USER") :]


def test_its_extras_are_the_projects() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"EXTRAS=([\w,]+)", FILE.read_text())
    assert {one for some in named for one in some.split(",")} <= {*extras["optional-dependencies"]}


@pytest.mark.environments
@pytest.mark.timeout(1800)
def test_docker_builds_and_runs_it() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker engine runs here")
    run([docker, "build", "-q", "-f", str(FILE), "-t", "enginebay-test", str(ROOT)])
    port = free_port()
    started = [docker, "run", "-d", "--rm", "-p", f"127.0.0.1:{port}:8000"]
    name = run([*started, "-e", f"ENGINEBAY_SERVER__API_KEY={KEY}", "enginebay-test"]).strip()
    try:
        deadline = time.monotonic() + 120
        health = [docker, "inspect", "-f", "{{.State.Health.Status}}", name]
        while run(health).strip() != "healthy":
            assert time.monotonic() < deadline
            time.sleep(1)
        assert run([docker, "exec", name, "id", "-u"]).strip() == "10001"
    finally:
        run([docker, "stop", "-t", "60", name])
