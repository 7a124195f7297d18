#!/usr/bin/env python3
"""Set-up and tasks of the EngineBay checkout; the Makefile forwards to it.

Needs Python 3.11 or newer and nothing else: each task makes `.venv` and installs what it lacks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
STAMP = VENV / "enginebay-installed.json"
LOG = VENV / "install.log"
CONSTRAINTS = ROOT / "constraints.txt"


@dataclass(frozen=True)
class Profile:
    """What one kind of task needs. ``size`` is what pip downloads on a machine that has none of
    it, said before it starts.
    """

    size: str
    requirements: tuple[str, ...]


PROFILES = {
    "server": Profile(
        "about 50 MB",
        (
            "-e",
            "./core[hf,testing]",
            "-e",
            "./server",
            "-e",
            "./plugins/numpy",
            "-e",
            "./plugins/pocket",
        ),
    ),
    "demo": Profile("about 10 MB", ("openai",)),
    "fuzz": Profile("about 10 MB", ("schemathesis",)),
    "transformers": Profile(
        "torch and Transformers: 0.3 GB with a CPU build of torch, 3 to 4 GB with the CUDA build "
        "that Linux gets by default (TORCH_INDEX chooses another)",
        ("-e", "./backends/transformers"),
    ),
    "onnx": Profile("ONNX Runtime: about 40 MB", ("-e", "./backends/onnx[cpu]")),
    "traced": Profile(
        "what exports more architectures to ONNX: about 5 MB",
        ("-e", "./backends/onnx[cpu,transformers]"),
    ),
    "openvino": Profile("OpenVINO: about 100 MB", ("-e", "./backends/openvino[runtime]")),
    "optimum": Profile("next to nothing: it runs elsewhere", ("-e", "./backends/optimum")),
    "dev": Profile(
        "about 60 MB",
        (
            *("-r", "requirements-dev.txt"),
            *("-e", "./backends/onnx", "-e", "./backends/openvino", "-e", "./backends/optimum"),
        ),
    ),
}
ENVIRONMENTS = ("optimum",)
"""Profiles whose engine gets an environment of its own, by the command that everyone has."""
TESTED = ("server", "transformers", "dev")
"""What tests and checks need. The onnx and openvino backends are checked with them, and
tested where their runtimes are installed: `make test-all`.
"""


def main() -> int:
    """Run the task that the command line names; its exit code is ours."""
    arguments = parse()
    os.chdir(ROOT)
    try:
        return TASKS[arguments.task][0](arguments)
    except SetupError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Set-up and tasks of the EngineBay checkout.",
        epilog="tasks:\n" + "\n".join(f"  {name:10} {task[1]}" for name, task in TASKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("task", choices=list(TASKS), metavar="TASK", help="see below")
    parser.add_argument(
        "--backend", default="", help="serve, demo: numpy (default), or a folder of backends/"
    )
    parser.add_argument("--model", default="", help="serve: hub id, directory or installed model")
    parser.add_argument("--port", default="", help="serve: the port (default 8000)")
    parser.add_argument("--quick", default="", help="bench: 1 for a run of less than ten minutes")
    parser.add_argument("--minutes", default="", help="soak: how long (default 60)")
    parser.add_argument("--args", default="", help="passed on to the command that the task runs")
    parser.add_argument(
        "--torch-index",
        default=os.environ.get("TORCH_INDEX", ""),
        help="package index with the build of torch to use",
    )
    return parser.parse_args()


def serve(arguments: argparse.Namespace) -> int:
    install(["server", *backend_profile(arguments)], arguments.torch_index)
    make_environments(backend_profile(arguments), arguments.torch_index)
    command = [str(BIN / "enginebay"), "serve"]
    if arguments.backend or arguments.model:
        command.append(arguments.model or "pocket")
    command += option("--backend", arguments.backend) + option("--port", arguments.port)
    command += shlex.split(arguments.args)
    os.execv(command[0], command)


def demo(arguments: argparse.Namespace) -> int:
    install(["server", "demo", *backend_profile(arguments)], arguments.torch_index)
    make_environments(backend_profile(arguments), arguments.torch_index)
    script = ROOT / "docs" / "examples" / "demo.py"
    return run([BIN / "python", script, *option("--backend", arguments.backend)])


def test(arguments: argparse.Namespace) -> int:
    install(list(TESTED), arguments.torch_index)
    return pytest("-m", "not environments", *shlex.split(arguments.args))


def test_all(arguments: argparse.Namespace) -> int:
    """All of ``test``, then what makes environments of its own; pytest names what it skipped. At
    last the page of the matrix, unless ``--args`` chose some tests.
    """
    install(list(PROFILES), arguments.torch_index)
    make_environments(list(PROFILES), arguments.torch_index)
    tested = pytest("-rs", *shlex.split(arguments.args))
    return tested if arguments.args else prove("--check") or tested


def matrix(arguments: argparse.Namespace) -> int:
    install(list(PROFILES), arguments.torch_index)
    make_environments(list(PROFILES), arguments.torch_index)
    return prove(*shlex.split(arguments.args))


def prove(*arguments: str) -> int:
    return run([BIN / "python", "-m", "tests.matrix", *arguments])


def pytest(*arguments: str) -> int:
    """As many workers as cores, each with one thread of its own for arithmetic: more only wait
    for each other. Files are taken in the order of ``conftest.py``. What comes later in
    ``arguments`` wins (``-n 0`` for one process).
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    workers = str(min(os.cpu_count() or 1, 4))
    spread = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder"]
    return run([BIN / "python", "-m", "pytest", *spread, *arguments])


def check(arguments: argparse.Namespace) -> int:
    """Run every check, also after one failed, and say at the end which did."""
    install(list(TESTED), arguments.torch_index)
    checks: dict[str, Sequence[str | Path]] = {
        "ruff check": [BIN / "ruff", "check", "."],
        "ruff format": [BIN / "ruff", "format", "--check", "."],
        "mypy --strict": [BIN / "mypy"],
        "import-linter": [BIN / "lint-imports", "--no-logo"],
        "docs build": [BIN / "zensical", "build", "--strict", "--clean"],
    }
    failed = [name for name, command in checks.items() if announce(name, command) != 0]
    print(f"failed: {', '.join(failed)}" if failed else f"all {len(checks)} checks passed")
    return 1 if failed else 0


def pocket(arguments: argparse.Namespace) -> int:
    install(["server", "transformers"], arguments.torch_index)
    train: list[str | Path] = [BIN / "python", "-m", "enginebay_pocket.recipe", "train"]
    return run([*train, *shlex.split(arguments.args)])


def bench(arguments: argparse.Namespace) -> int:
    """Peers get environments of their own, which the harness makes when it first needs them."""
    install(["server", "transformers", "onnx", "openvino", "dev"], arguments.torch_index)
    command: list[str | Path] = [BIN / "python", "-m", "tests.benchmarks"]
    command += ["--quick"] if arguments.quick not in {"", "0"} else []
    return run([*command, *shlex.split(arguments.args)])


def soak(arguments: argparse.Namespace) -> int:
    install(["server", "dev"], arguments.torch_index)
    command: list[str | Path] = [BIN / "python", "-m", "tests.edges.soak"]
    command += option("--minutes", arguments.minutes)
    return run(command)


def setup(arguments: argparse.Namespace) -> int:
    install(list(PROFILES), arguments.torch_index)
    make_environments(list(PROFILES), arguments.torch_index)
    print(f"ready: {BIN}")
    return 0


TASKS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "serve": (serve, "serve the bundled model, or MODEL, on the OpenAI API"),
    "demo": (demo, "start a server, stream two answers through the OpenAI SDK, stop it"),
    "test": (test, "all tests that run in one environment"),
    "test-all": (test_all, "those, and the tests that make environments of their own"),
    "matrix": (matrix, "prove what every backend claims; writes docs/matrix.md"),
    "check": (check, "ruff, mypy --strict, import-linter and the docs build"),
    "pocket": (pocket, "train the bundled model again"),
    "bench": (bench, "measure speed beside other servers; writes docs/benchmarks/results.md"),
    "soak": (soak, "load a server with good, bad and leaving clients for MINUTES (60)"),
    "setup": (setup, "install every backend and tool, run nothing"),
}


class SetupError(Exception):
    """The environment cannot be made; the message says what to do."""


def backend_profile(arguments: argparse.Namespace) -> list[str]:
    """A model without a backend takes the server's default, which is the reference."""
    named = arguments.backend or ("transformers" if arguments.model else "numpy")
    return [named] if named in PROFILES else []


def install(profiles: list[str], torch_index: str) -> None:
    """Make `.venv` have these profiles; returns at once when it has them already."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs on whatever python3 is there
        raise SetupError(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    wanted = {name: fingerprint(name, torch_index) for name in profiles}
    present = installed()
    missing = [name for name in profiles if present.get(name) != wanted[name]]
    if not missing:
        return
    make_venv()
    for name in missing:
        print(f"installing {name}: {PROFILES[name].size}", flush=True)
    requirements = [word for name in missing for word in PROFILES[name].requirements]
    index = ["--extra-index-url", torch_index] if torch_index else []
    pip_install([*index, "-c", str(CONSTRAINTS), *requirements])
    STAMP.write_text(json.dumps({**present, **wanted}, indent=1))


def make_environments(profiles: list[str], torch_index: str) -> None:
    """What engines that cannot live in `.venv` need; done at once where they are up to date."""
    for name in profiles:
        if name in ENVIRONMENTS:
            create = [str(BIN / "enginebay"), "env", "create", name]
            if run([*create, *option("--index", torch_index)]) != 0:
                raise SetupError(f"the environment {name!r} could not be made")


def make_venv() -> None:
    if runs(BIN / "python"):
        return
    print(f"making {VENV.name}/ with Python {sys.version.split()[0]}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
    if made.returncode != 0:
        raise SetupError(
            "python -m venv failed; on Debian and Ubuntu: sudo apt-get install python3-venv"
        )


def pip_install(arguments: list[str]) -> None:
    """One pip command. Its whole output goes to a log; the terminal gets one line per package
    when it is a file, one line in all when it is a terminal. Python compiles what it imports when
    it first does; to compile all of torch and Transformers at once would take half a minute.
    """
    command = [str(BIN / "python"), "-m", "pip", "install"]
    command += ["--no-compile", "--disable-pip-version-check"]
    started = time.monotonic()
    with LOG.open("w") as log:
        child = subprocess.Popen(
            [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert child.stdout is not None
        for line in child.stdout:
            log.write(line)
            show(line)
    if child.wait() != 0:
        tail = "".join(LOG.read_text().splitlines(keepends=True)[-15:])
        raise SetupError(f"pip failed; the end of {LOG}:\n{tail}")
    show(f"Installed in {time.monotonic() - started:.0f} s\n", last=True)


def show(line: str, last: bool = False) -> None:
    """Progress in few words: what pip fetches, builds or installs now."""
    words = line.split()
    verb = words[0] if words else ""
    if verb not in ("Collecting", "Downloading", "Building", "Installing", "Installed"):
        return
    if verb == "Installing" and words[1:2] != ["collected"]:
        return
    text = " ".join(words)[:76] if verb != "Installing" else "Installing the packages"
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="\n" if last else "", flush=True)
    elif verb not in ("Downloading", "Building"):
        print(text, flush=True)


def installed() -> dict[str, str]:
    """Fingerprints of the profiles in `.venv`; none when it is broken or another Python's."""
    if not (STAMP.exists() and runs(BIN / "python")):
        return {}
    read: dict[str, str] = json.loads(STAMP.read_text())
    return read


def runs(python: Path) -> bool:
    """A venv outlives the Python that made it, and is then good for nothing."""
    if not python.exists():
        return False
    return subprocess.run([str(python), "-c", ""], check=False).returncode == 0


def fingerprint(profile: str, torch_index: str) -> str:
    """Changes with everything that decides what pip would install."""
    files = [CONSTRAINTS, ROOT / "requirements-dev.txt", *sorted(ROOT.glob("*/*/pyproject.toml"))]
    files += sorted(ROOT.glob("*/pyproject.toml"))
    digest = hashlib.sha256(repr((PROFILES[profile], torch_index, sys.version)).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def option(name: str, value: str) -> list[str]:
    return [name, value] if value else []


def announce(name: str, command: Sequence[str | Path]) -> int:
    print(f"--- {name}", flush=True)
    return run(command)


def run(command: Sequence[str | Path]) -> int:
    return subprocess.run([str(word) for word in command], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
