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
from collections.abc import Iterator
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
THERE: Final = frozenset(
    ("torch", "transformers", "accelerate", "tokenizers", "safetensors", "huggingface-hub", "numpy")
)
"""With whatever these need themselves."""
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
    """Canonical names of all that is needed on Linux with this Python, but for what is there and
    for ours.
    """
    found: dict[str, set[str]] = {}
    waiting = [Requirement(root) for root in NEEDED]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        extras = found.get(name, set()) | {"", *wanted.extras}
        if found.get(name) != extras:
            found[name] = extras
            waiting += _required(name, extras, python)
    return sorted(name for name in found if name not in THERE and not name.startswith("enginebay"))


def _required(name: str, extras: set[str], python: str) -> Iterator[Requirement]:
    """Of what is there, only what its extras add."""
    system = {"python_version": python, "python_full_version": f"{python}.0"}
    system |= {"sys_platform": "linux", "platform_machine": "x86_64"}
    for text in importlib.metadata.requires(name) or ():
        wanted = Requirement(text)
        told = [extra for extra in extras if _holds(wanted, {**system, "extra": extra})]
        if told and not (name in THERE and "" in told):
            yield wanted


def _holds(wanted: Requirement, environment: dict[str, str]) -> bool:
    return wanted.marker is None or wanted.marker.evaluate(environment)


if __name__ == "__main__":
    main()
