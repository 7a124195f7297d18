"""Whether an environment works, found out in its own Python: an import may exit, hang or crash."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import ModelError
from enginebay_core.environments.declaration import CORE
from enginebay_core.environments.own import find_own

MODULE: Final = "enginebay_core.environments.probe"
CHILD: Final = "enginebay_core.placement.process.child"
SECONDS: Final = 300.0
"""Importing torch from a cold disk takes a minute."""


@dataclass(frozen=True, slots=True)
class Probed:
    """``core`` is the content of the core that it holds, ``failed`` the reasons of modules that do
    not import, ``installed`` the versions of all distributions.
    """

    core: str
    failed: dict[str, str]
    installed: dict[str, str]


def probe(interpreter: Path, imports: tuple[str, ...], seconds: float = SECONDS) -> Probed:
    """Raises ModelError when nothing can be found out."""
    command = [str(interpreter), "-I", "-m", MODULE, *imports]
    try:
        child = subprocess.run(  # noqa: S603 - the environment's own interpreter
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelError(f"importing {', '.join(imports)} took more than {seconds:g} s") from None
    except OSError as error:
        raise ModelError(f"{interpreter} does not run: {error.strerror}") from None
    lines = child.stdout.splitlines()
    if child.returncode != 0 or not lines:
        words = [*child.stderr.splitlines(), *lines]
        raise ModelError(
            f"importing {', '.join(imports)} ended Python with {child.returncode}"
            + (f": {words[-1]}" if words else "")
        )
    said: dict[str, Any] = json.loads(lines[-1])
    return Probed(**said)


def prove(interpreter: Path, imports: tuple[str, ...], core: str) -> Probed:
    """The same. Raises ModelError unless everything imports and its core has this content."""
    found = probe(interpreter, (CHILD, *imports))
    if found.failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.failed.items())
        raise ModelError(f"not everything imports there: {reasons}")
    if found.core != core:
        raise ModelError(f"its {CORE} is not the one that was installed there")
    return found


def main() -> int:
    """In the environment: import what is named, and say in one last line of JSON how it went."""
    failed = {}
    for name in sys.argv[1:]:
        try:
            importlib.import_module(name)
        except Exception as error:  # what an engine's import raises is its own affair
            failed[name] = f"{type(error).__name__}: {error}"
    found = importlib.metadata.distributions()
    installed = {one.name: one.version for one in found if one.name}
    said = {"core": find_own(CORE).content, "failed": failed, "installed": installed}
    sys.stdout.write("\n" + json.dumps(said) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
