"""Runs the contract of embedders where their oracles are: in the tests of the backends that make
vectors.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from xml.etree import ElementTree

ROOT: Final = Path(__file__).resolve().parents[2]

EMBEDDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "toy": "core/tests/kit/test_embedders.py",
        "transformers": "backends/transformers/tests/test_embedder.py",
        "onnx": "backends/onnx/tests/test_embedder.py",
    }
)
"""By backend, the file whose classes are contracts."""


def run_embedders(work: Path) -> dict[str, str]:
    """By backend, what was wrong; empty where every check of every contract has passed."""
    report = work / "embedders.xml"
    files = [str(ROOT / file) for file in EMBEDDERS.values()]
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if not report.is_file():
        return dict.fromkeys(EMBEDDERS, done.stdout + done.stderr)
    results = read(report)
    return {name: faults(results.get(module_of(file), {})) for name, file in EMBEDDERS.items()}


def module_of(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".")


def read(report: Path) -> dict[str, dict[str, str]]:
    """By module and check of a contract class: empty, or why it did not pass."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        module, _, last = case.attrib["classname"].rpartition(".")
        if last.startswith("Test"):
            wrong = [child.get("message", child.tag) for child in case]
            found[module][f"{last}.{case.attrib['name']}"] = "; ".join(wrong)
    return found


def faults(checks: Mapping[str, str]) -> str:
    """No check at all is a fault too."""
    wrong = [f"{name}: {why}" for name, why in checks.items() if why]
    return "\n".join(wrong) if checks else "no contract ran"
