"""``enginebay export --to onnx``, as a person runs it, and what it made, served."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import ModelError, StepBatch, StepRow
from enginebay_onnx import OnnxBackend, OnnxOptions

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: backends/onnx[cpu]")


def enginebay(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "enginebay_server", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_makes_what_the_backend_serves(tmp_path: Path) -> None:
    out = tmp_path / "pocket-onnx"
    done = enginebay("export", "pocket", out, "--to", "onnx", "--precision", "int8", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == json.loads((out / "enginebay-export.json").read_text())
    assert (said["source"], said["precision"], said["facts"]) == (
        "pocket",
        "int8",
        {"graph": "slots"},
    )
    assert {"model.onnx", "model.weights", "tokenizer.json", "config.json"} < set(said["files"])
    assert "comparing logits with the reference" in done.stderr
    engine: Any = OnnxBackend().load(out, OnnxOptions(threads=1), lambda *_: None)
    assert engine.forward(StepBatch((), (StepRow(0, 0, (300, 301)),))).shape == (1, 4096)
    engine.close()
    with pytest.raises(ModelError, match=r"precision is 'fp32', and .* was exported in 'int8'"):
        OnnxBackend().load(out, OnnxOptions(precision="fp32"), lambda *_: None)
    again = enginebay("export", "pocket", out, "--to", "onnx")
    assert again.returncode == 2
    assert "is there already" in again.stderr
