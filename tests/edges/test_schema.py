"""Schemathesis over ``/openapi.json``: what fits it and what does not, and never a 5xx."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.edges.target import KEY, serving

CONFIG = """
[server]
default_max_tokens = 4
limits = { max_tokens = 32 }
[models.m]
backend = "toy"
model = "toy"
placement = "process"
"""
COMMAND = (
    *(sys.executable, "-m", "schemathesis.cli", "run", "--mode", "all", "--seed", "20"),
    *("--phases", "fuzzing", "--max-examples", "60", "--workers", "2"),
    *("--checks", "not_a_server_error,status_code_conformance,response_schema_conformance"),
)


@pytest.mark.environments
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed"
)
def test_nothing_that_can_be_sent_makes_a_5xx(tmp_path: Path) -> None:
    with serving(tmp_path, CONFIG) as target:
        canary, processes = target.canary(), target.processes()
        schema = tmp_path / "openapi.json"
        schema.write_text(json.dumps(with_a_model(target.http.get(f"{target.root}/openapi.json"))))
        command = [*COMMAND, str(schema), "--url", target.root]
        headers = ["--header", f"Authorization: Bearer {KEY}"]
        ran = subprocess.run([*command, *headers], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
        assert target.canary() == canary
        assert target.processes() == processes


def with_a_model(answer: httpx.Response) -> Any:
    """Names the model, or all that is generated would ask for one that is not there."""
    whole = answer.json()
    operations = [operation for path in whole["paths"].values() for operation in path.values()]
    bodies = [operation["requestBody"] for operation in operations if "requestBody" in operation]
    assert len(bodies) >= 3
    for body in bodies:
        schema = body["content"]["application/json"]["schema"]
        for one in schema.get("anyOf", [schema]):
            one["properties"]["model"] = {"const": "m"}
    return whole
