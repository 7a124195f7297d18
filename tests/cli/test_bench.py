"""`enginebay bench` against real servers."""

import json
import socket
import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import ENGINEBAY, Done, Served, environment


def bench(*arguments: str, cwd: Path) -> Done:
    child = subprocess.run(
        [*ENGINEBAY, "bench", *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return Done(child.returncode, child.stdout, child.stderr)


def test_a_row_for_each_number_of_streams(toys: Served, tmp_path: Path) -> None:
    asked = ("--streams", "1,3", "--max-tokens", "8", "--prompt-tokens", "20", "--repeat", "2")
    done = bench(toys.url, *asked, "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["model"] == "toy"
    assert found["counted_by"] == "the server's usage"
    one, three = found["rows"]
    assert (one["streams"], one["answers"], one["tokens"]) == (1, 2, 16)
    assert (three["streams"], three["answers"], three["tokens"]) == (3, 6, 48)
    for row in (one, three):
        assert row["errors"] == {}
        assert row["prompt_tokens"] > 20  # the toy counts bytes
        assert 0 < row["ttft_p50"] <= row["ttft_p99"] <= row["seconds"]
        assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["seconds"])


def test_people_get_a_table(toys: Served, tmp_path: Path) -> None:
    done = bench(toys.url, "-m", "toy", "--streams", "2", "--max-tokens", "4", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "tokens/s" in done.out
    assert "tokens counted by the server's usage" in done.out


def test_it_stops_when_the_time_is_up(toys: Served, tmp_path: Path) -> None:
    asked = ("--streams", "1", "--max-tokens", "4", "--seconds", "2", "--json")
    done = bench(toys.url, *asked, cwd=tmp_path)
    [row] = json.loads(done.out)["rows"]
    assert row["answers"] > 2  # more than one round


def test_failures_are_named_and_counted(toys: Served, tmp_path: Path) -> None:
    done = bench(toys.url, "-m", "gone", "--streams", "2", "--repeat", "1", "--json", cwd=tmp_path)
    assert done.code == 1
    [row] = json.loads(done.out)["rows"]
    assert row["answers"] == 0
    assert row["tokens_per_second"] is None
    [(message, count)] = row["errors"].items()
    assert "HTTP 503" in message
    assert count == 2


def test_an_answer_that_breaks_off_is_a_failure(toys: Served, tmp_path: Path) -> None:
    done = bench(toys.url, "-m", "fails", "--streams", "1", "--repeat", "1", cwd=tmp_path)
    assert done.code == 1
    assert "1 at once: 1 ×" in done.out


@pytest.mark.parametrize("streams", ["", "0", "1,x", "1,,2"])
def test_streams_that_are_no_numbers(toys: Served, tmp_path: Path, streams: str) -> None:
    done = bench(toys.url, "--streams", streams, cwd=tmp_path)
    assert done.code == 2
    assert "1,4,16" in done.err


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = bench(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", cwd=tmp_path)
    assert done.code == 1
    assert "nobody answers" in done.err
