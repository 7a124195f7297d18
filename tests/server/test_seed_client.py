"""A plain ``requests`` client, as a reader of ``docs/examples`` would run it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.server.conftest import Running

CLIENT = Path(__file__).parents[2] / "docs" / "examples" / "requests_client.py"


def run(server: Running, *arguments: str, model: str = "toy") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CLIENT), "--url", server.url, "--model", model]
    command += ["--max-tokens", "30", "你好!请介绍一下你自己。", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)


def test_the_whole_answer_and_its_usage(toys: Running) -> None:
    done = run(toys)
    assert done.returncode == 0, done.stderr
    *text, usage = done.stdout.splitlines()
    assert "".join(text)
    counts = json.loads(usage.removeprefix("usage: "))
    assert counts["completion_tokens"] == 30
    assert counts["total_tokens"] == counts["prompt_tokens"] + 30


def test_the_stream(toys: Running) -> None:
    done = run(toys, "--stream")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) > 20
    assert "data:" not in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--stream",)])
def test_an_error_says_what_to_do(toys: Running, arguments: tuple[str, ...]) -> None:
    done = run(toys, *arguments, model="gpt-5")
    assert done.returncode == 1
    assert "No model 'gpt-5' is configured here" in done.stderr
