"""Exports: made once, whole or not at all, found again by content, opened as they were proved."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enginebay_core.api import ModelError, PluginNotFound
from enginebay_core.export import GateClosed, export_model, exported, is_export, read_manifest

Checkpoint = Callable[..., Path]
Count = Callable[[], int]


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


def start(model: Path, target: Path) -> subprocess.Popen[bytes]:
    """The process that a first serve starts."""
    command = [sys.executable, "-m", "enginebay_core.export", model, "copy", "fp32", target]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_manifest_says_what_was_made_of_what(checkpoint: Checkpoint, tmp_path: Path) -> None:
    said = export_model(checkpoint(), "copy", tmp_path / "out", quiet, source="owner/model")
    assert (said.format, said.precision, said.source) == ("copy", "fp32", "owner/model")
    assert (said.tools, said.facts, said.revision) == ({"copier": "1"}, {"kind": "copy"}, None)
    assert said.parity.reference == "toy"
    assert said.parity.passed == ("alone", "ragged batch", "chunked")
    assert said.parity.worst == 0
    names = {"chat_template.jinja", "config.json", "graph.json", "large.bin"}
    assert set(said.files) == names
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names, "enginebay-export.json"}
    assert read_manifest(tmp_path / "out") == said


def test_a_snapshot_of_a_hub_tells_its_commit(checkpoint: Checkpoint, tmp_path: Path) -> None:
    commit = "0123456789" * 4
    (tmp_path / "snapshots").mkdir()
    model = checkpoint(f"snapshots/{commit}")
    assert export_model(model, "copy", tmp_path / "out", quiet).revision == commit


def test_nothing_is_overwritten(checkpoint: Checkpoint, tmp_path: Path, count: Count) -> None:
    out = tmp_path / "out"
    out.mkdir()
    export_model(checkpoint(), "copy", out, quiet)  # an empty directory is as good as none
    with pytest.raises(ModelError, match="is there already"):
        export_model(checkpoint(), "copy", out, quiet)
    with pytest.raises(ModelError, match="is an export already"):
        export_model(out, "copy", tmp_path / "again", quiet)
    assert count() == 1


def test_unknown_formats_and_precisions_are_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(PluginNotFound, match=r"no exporter named 'copi'.*did you mean 'copy'"):
        export_model(checkpoint(), "copi", tmp_path / "out", quiet)
    with pytest.raises(ModelError, match="'fp8'; copy can be written in fp32, int8"):
        export_model(checkpoint(), "copy", tmp_path / "out", quiet, precision="fp8")


def test_what_fails_the_gate_is_not_kept(checkpoint: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "exports" / "out"
    with pytest.raises(GateClosed, match="'ragged batch', prompt 1, after id 5 of 15"):
        export_model(checkpoint(fault="mask"), "copy", out, quiet)
    assert list(out.parent.iterdir()) == []


def test_a_first_serve_exports_and_a_second_finds_it(
    checkpoint: Checkpoint, cache: Path, count: Count
) -> None:
    stages: list[str] = []
    model = checkpoint()
    made = exported(model, "copy", None, lambda stage, *_: stages.append(stage))
    assert made.parent == cache / "exports"
    assert is_export(made)
    assert {"copying", "comparing logits with the reference"} <= set(stages)
    assert exported(model, "copy", "fp32", quiet) == made
    assert exported(made, "copy", None, quiet) == made
    assert count() == 1


def test_other_content_precision_or_tools_are_other_exports(
    checkpoint: Checkpoint, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [exported(checkpoint(seed=1), "copy", "fp32", quiet)]
    places.append(exported(checkpoint(seed=2), "copy", "fp32", quiet))
    places.append(exported(checkpoint(seed=2), "copy", "int8", quiet))
    monkeypatch.setenv("COPIER", "2")
    places.append(exported(checkpoint(seed=2), "copy", "int8", quiet))
    moved = exported(checkpoint("elsewhere", seed=2), "copy", "int8", quiet)
    assert moved == places[-1]
    other = checkpoint("with a tokenizer", seed=2)
    (other / "tokenizer.json").write_text("{}")  # an engine spells its grammars by it
    places.append(exported(other, "copy", "int8", quiet))
    assert len(set(places)) == count() == 5


def test_a_large_file_is_hashed_again_when_it_changed(checkpoint: Checkpoint) -> None:
    model = checkpoint()
    weights = model / "model.safetensors"
    places = []
    for content in (b"a" * 2**20, b"b" * 2**20, b"a" * 2**20):
        weights.write_bytes(content)
        places.append(exported(model, "copy", None, quiet))
    assert places[0] == places[2] != places[1]


def test_a_failure_crosses_the_process_and_leaves_nothing(
    checkpoint: Checkpoint, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(GateClosed, match="'ragged batch'"):
        exported(checkpoint(fault="mask"), "copy", None, quiet)
    with pytest.raises(ModelError, match="ended with exit code 7"):
        exported(checkpoint(fault="crash"), "copy", None, quiet)
    assert not [path for path in (cache / "exports").iterdir() if is_export(path)]
    assert capfd.readouterr().out == ""


DAMAGE = [
    ("graph.json", b"[]", "'graph.json' in the export .* is not the file that passed"),
    ("large.bin", None, "lacks 'large.bin'"),
    ("enginebay-export.json", b'{"format": "copy"}', r"cannot be used \(precision: Field"),
    ("enginebay-export.json", b"{", "cannot be used"),
]


def damage(directory: Path, file: str, change: bytes | None) -> None:
    if change is None:
        (directory / file).unlink()
    else:
        (directory / file).write_bytes(change)


@pytest.mark.parametrize(("file", "change", "words"), DAMAGE)
def test_files_that_did_not_pass_are_not_opened(
    checkpoint: Checkpoint, tmp_path: Path, file: str, change: bytes | None, words: str
) -> None:
    out = tmp_path / "out"
    export_model(checkpoint(), "copy", out, quiet)
    damage(out, file, change)
    with pytest.raises(ModelError, match=words):
        exported(out, "copy", None, quiet)


@pytest.mark.parametrize("case", [*DAMAGE, ("enginebay-export.json", None, "has no enginebay")])
def test_one_in_the_cache_that_is_damaged_is_made_again(
    checkpoint: Checkpoint,
    count: Count,
    caplog: pytest.LogCaptureFixture,
    case: tuple[str, bytes | None, str],
) -> None:
    file, change, words = case
    model = checkpoint()
    made = exported(model, "copy", None, quiet)
    damage(made, file, change)
    assert exported(model, "copy", None, quiet) == made
    assert exported(made, "copy", None, quiet) == made
    (record,) = caplog.records
    assert re.search(f"damaged export, which is made again now: .*{words}", record.getMessage())
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    assert exported(model, "copy", None, quiet) == made
    assert count() == 2


def test_two_who_find_a_damaged_one_make_one(checkpoint: Checkpoint, count: Count) -> None:
    model = checkpoint(seconds=1)
    made = exported(model, "copy", None, quiet)
    damage(made, "graph.json", b"[]")
    with ThreadPoolExecutor() as threads:
        found = [threads.submit(exported, model, "copy", None, quiet) for _ in range(3)]
    assert [one.result() for one in found] == [made] * 3
    assert count() == 2


def test_a_damaged_one_that_cannot_be_thrown_away_is_named(
    checkpoint: Checkpoint, cache: Path
) -> None:
    model = checkpoint()
    made = exported(model, "copy", None, quiet)
    damage(made, "graph.json", b"[]")
    shutil.rmtree(cache / "locks")
    (cache / "locks").write_text("no lock can be made")  # as where nothing may be written
    with pytest.raises(ModelError, match=r"'graph\.json' in the export .* is not the file"):
        exported(model, "copy", None, quiet)


def test_an_export_for_another_backend_or_precision_is_refused(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_model(checkpoint(), "copy", out, quiet)
    with pytest.raises(ModelError, match="is an export to 'copy', and this backend runs 'onnx'"):
        exported(out, "onnx", None, quiet)
    with pytest.raises(ModelError, match=r"precision is 'int8', and .* was exported in 'fp32'"):
        exported(out, "copy", "int8", quiet)


def test_without_a_reference_nothing_is_made(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import eb_copier  # type: ignore[import-not-found]  # made by the fixture

    from enginebay_core.export import Reference

    unfit = Reference("toy", {"fail_load": True})
    monkeypatch.setattr(eb_copier.Exporter, "references", (Reference("absent", {}), unfit))
    with pytest.raises(ModelError, match=r"absent is not installed; toy: .*enginebay export"):
        export_model(checkpoint(), "copy", tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()


def test_two_at_once_make_one(checkpoint: Checkpoint, tmp_path: Path, count: Count) -> None:
    model, target = checkpoint(seconds=1), tmp_path / "exports" / "out"
    children = [start(model, target) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert count() == 1
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_one_killed_half_way_leaves_no_export_and_no_lock(
    checkpoint: Checkpoint, tmp_path: Path, count: Count
) -> None:
    target = tmp_path / "exports" / "out"
    child = start(checkpoint(seconds=60), target)
    wait_for(lambda: list(target.parent.glob(".out.partial.*/large.bin")))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not target.exists()
    assert start(checkpoint(seconds=0), target).wait(60) == 0
    assert count() == 2
    assert [path.name for path in target.parent.iterdir()] == ["out"]
    exported(target, "copy", None, quiet)


def test_what_was_killed_under_another_key_is_removed_and_what_lives_is_not(
    checkpoint: Checkpoint, cache: Path
) -> None:
    exports = cache / "exports"
    children = []
    for name in ("dead", "living"):
        children.append(start(checkpoint(name, seconds=60), exports / name))
        wait_for(lambda name=name: list(exports.glob(f".{name}.partial.*/large.bin")))  # type: ignore[misc]
    dead, living = children
    try:
        dead.kill()
        dead.wait()
        made = exported(checkpoint(seconds=0), "copy", None, quiet)
        (left,) = {path.name for path in exports.iterdir()} - {made.name}
        assert left.startswith(".living.partial.")
        assert living.poll() is None
    finally:
        living.kill()
        living.wait()


def test_outside_the_cache_no_other_name_is_touched(checkpoint: Checkpoint, tmp_path: Path) -> None:
    theirs = tmp_path / ".their.partial.work"
    theirs.mkdir()
    export_model(checkpoint(), "copy", tmp_path / "out", quiet)
    assert theirs.exists()
