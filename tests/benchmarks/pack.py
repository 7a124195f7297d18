"""Pack what a machine without a network lacks, if it has torch, Transformers and pip:

    python -m tests.benchmarks.pack FOLDER --python 3.12

FOLDER then has wheels of EngineBay, and of all that it and ``transformers serve`` need beyond torch
and Transformers, in the versions installed here; ``cuda.sh`` beside this file uses them there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]
OURS: Final = ("core", "server", "backends/transformers")
NEEDED: Final = (
    "enginebay-core[hf,process]",
    "enginebay-server",
    "enginebay-transformers",
    "transformers[serving]",
)
THERE: Final = ("torch", "transformers", "accelerate", "numpy")
PLATFORMS: Final = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_12")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pack", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--python", default="3.12", help="of the machine they are for")
    arguments = parser.parse_args()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    sources = [str(ROOT / one) for one in OURS]
    place = str(arguments.folder)
    subprocess.run([*pip, "wheel", "--no-deps", "-w", place, *sources], check=True)
    target = ["--only-binary=:all:", "--python-version", arguments.python]
    target += [word for one in PLATFORMS for word in ("--platform", f"{one}_x86_64")]
    pins = [f"{name}=={importlib.metadata.version(name)}" for name in missing(arguments.python)]
    subprocess.run([*pip, "download", "--no-deps", "-d", place, *target, *pins], check=True)


def missing(python: str) -> list[str]:
    """Names of distributions that are needed beyond those that are there, but for ours."""
    ours = {name for name in closure(NEEDED, python) if name.startswith("enginebay")}
    return sorted(closure(NEEDED, python) - closure(THERE, python) - ours)


def closure(roots: Iterable[str], python: str) -> set[str]:
    """Canonical names of ``roots`` and of all that they require on Linux with this Python."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(root) for root in roots]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        extras = {"", *wanted.extras}
        if name in found and extras <= found[name]:
            continue
        found[name] = found.get(name, set()) | extras
        waiting += _required(name, found[name], python)
    return set(found)


def _required(name: str, extras: set[str], python: str) -> Iterator[Requirement]:
    for text in importlib.metadata.requires(name) or ():
        wanted = Requirement(text)
        system = {"python_version": python, "python_full_version": f"{python}.0"}
        system |= {"sys_platform": "linux", "platform_machine": "x86_64"}
        if wanted.marker is None or any(
            wanted.marker.evaluate({**system, "extra": extra}) for extra in extras
        ):
            yield wanted


if __name__ == "__main__":
    main()
