"""The kit itself: nothing is wrong with a sound backend, and nothing is skipped in silence."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import Capabilities, Capability, PluginError, Support
from enginebay_core.engine.loop import EngineLoop
from enginebay_core.placement import Placement, process_is_installed
from enginebay_core.testing import BackendContract, deviates, run_contract
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.contract import CHECKS
from enginebay_core.testing.marks import fields_proved
from enginebay_core.testing.report import build_report, write_json, write_table
from enginebay_core.testing.run import report_contract
from enginebay_core.testing.session import run_checks
from enginebay_core.toy import ToyBackend, ToyEngine

from .broken_engines import ENGINES
from .broken_generators import CLAIMS, GENERATORS, REFUSERS, Wrapped, changed, claims
from .broken_samplers import BATCH_SAMPLERS, SAMPLERS, FaultySampler
from .broken_tokenizers import TOKENIZERS
from .contracts import BrokenBackend, contract_of, run_one

STRANGER = """
from enginebay_core.testing import BackendContract


class TestMine(BackendContract):
    backend = "toy"
    options = {"max_sequences": 3, "batching": "chunk"}
"""


class TestToy(BackendContract):
    backend = "toy"


@pytest.mark.skipif(not process_is_installed(), reason="needs enginebay-core[process]")
class TestToyInAProcess(BackendContract):
    backend = "toy"
    placement = "process"


@pytest.mark.parametrize("where", ["inline", "process"])
def test_the_tokenizer_of_the_class_is_the_one_that_is_opened(where: Placement) -> None:
    if where == "process" and not process_is_installed():
        pytest.skip("needs enginebay-core[process]")

    class Elsewhere(BackendContract):
        __test__ = False
        backend = "toy"
        tokenizer = "nowhere"
        placement = where

    with pytest.raises(PluginError, match="nowhere"):
        Elsewhere.open_bench()


def test_one_slot_is_enough() -> None:
    contract = contract_of(BrokenBackend(lambda: ToyEngine(max_sequences=1, max_length=256)))
    results = run_checks(contract)
    assert not [r for r in results if r.status not in ("passed", "skipped")]
    assert len([r for r in results if r.status == "skipped"]) < 8


def test_a_sound_generator_keeps_the_contract() -> None:
    contract = contract_of(BrokenBackend(Wrapped))
    bench = contract.open_bench()
    report = build_report(contract, bench, run_checks(contract))
    assert report.passed, report.with_status("failed")
    assert {field.proof for field in report.fields} == {"proved"}


def test_logprobs_of_what_came_are_enough_to_prove_the_odds() -> None:
    few = ("top_logprobs", "presence_penalty", "frequency_penalty")
    contract = contract_of(BrokenBackend(Wrapped, claims(**dict.fromkeys(few, Support.REFUSED))))
    bench = contract.open_bench()
    report = build_report(contract, bench, run_checks(contract))
    assert report.passed, report.with_status("failed")
    witnesses = {field.name: field.witnesses for field in report.fields}
    assert "test_temperature_sets_the_odds" in witnesses["temperature"]
    assert "test_top_k_keeps_k" in witnesses["top_k"]
    assert "test_top_p_keeps_the_nucleus" in witnesses["top_p"]
    assert "test_min_p_keeps_the_likely" in witnesses["min_p"]
    assert witnesses["logprobs"] == ("test_logprobs_say_how_often_ids_come",)


def test_what_is_refused_is_listed_and_not_run() -> None:
    few = {"max_tokens": Support.NATIVE, "n": Support.EMULATED, "stop": Support.EMULATED}
    declared = {name: Capability(support) for name, support in few.items()}
    declared["top_k"] = Capability(Support.REFUSED, reason="it is a parrot")
    contract = contract_of(BrokenBackend(changed(temperature=0.0), Capabilities(declared)))
    bench = contract.open_bench()
    results = {result.name: result for result in run_checks(contract)}
    assert results["test_top_k_one_is_greedy"].message == "refused: top_k (it is a parrot)"
    report = build_report(contract, bench, list(results.values()))
    assert report.passed, report.with_status("failed")
    proofs = {field.name: field.proof for field in report.fields}
    assert proofs["top_k"] == proofs["seed"] == "refused"
    assert proofs["max_tokens"] == proofs["n"] == "proved"


def test_every_check_catches_a_fault() -> None:
    tables = (ENGINES, BATCH_SAMPLERS, SAMPLERS, GENERATORS, REFUSERS)
    caught = {check for table in tables for *_, checks in table for check in checks}
    caught |= {check for _, check in TOKENIZERS} | {check for _, _, check in CLAIMS}
    elsewhere = {
        "leaving_frees_the_slot_within_two_steps",
        "options_refuse_unknown_keys",
    }
    assert {name.removeprefix("test_") for name in CHECKS} == caught | elsewhere


def test_a_scheduler_that_keeps_slots_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EngineLoop, "cancel", lambda *_: None)
    contract = contract_of(BrokenBackend(lambda: ToyEngine(max_sequences=2, max_length=300)))
    result = run_one(contract, "test_leaving_frees_the_slot_within_two_steps")
    assert result.status == "failed", result


def test_every_check_says_what_a_failure_means() -> None:
    for name in CHECKS:
        text = " ".join((getattr(BackendContract, name).__doc__ or "").split())
        assert "A failure" in text, name
        assert "usually means" in text, name
        assert "Repair: " in text, name


def test_every_field_has_a_witness() -> None:
    proved = {f for name in CHECKS for f in fields_proved(getattr(BackendContract, name))}
    assert proved == set(Capabilities({}).fields) | proved
    assert len(proved) == 18


def test_overriding_needs_a_reason() -> None:
    for member in (None, lambda self: None):
        with pytest.raises(TypeError, match="'test_joining_late' without a reason"):
            type("TestMine", (BackendContract,), {"backend": "toy", "test_joining_late": member})


def test_a_reason_is_shown(tmp_path: Path) -> None:
    class TestMine(BackendContract):
        backend = "toy"

        @deviates("the toy never joins")
        def test_joining_late(self, bench: Bench) -> None:
            """Nothing."""

        @pytest.mark.xfail(strict=True, reason="known")
        def test_sixteen_interleaved(self, bench: Bench) -> None:
            raise AssertionError

    output = io.StringIO()
    bench = TestMine.open_bench()
    results = run_checks(TestMine, {"test_joining_late", "test_sixteen_interleaved"})
    report = build_report(TestMine, bench, results)
    write_table(report, output)
    write_json(report, tmp_path / "report.json")
    assert "joining late  deviates: the toy never joins" in output.getvalue()
    checks = {c["name"]: c for c in json.loads((tmp_path / "report.json").read_text())["checks"]}
    assert checks["test_joining_late"]["status"] == "deviates"
    assert checks["test_sixteen_interleaved"]["message"] == "known"


def test_a_replacement_that_fails_still_fails() -> None:
    class TestMine(BackendContract):
        backend = "toy"

        @deviates("weaker")
        def test_joining_late(self, bench: Bench) -> None:
            raise AssertionError("even so")

    (result,) = run_checks(TestMine, {"test_joining_late"})
    assert (result.status, result.message) == ("failed", "even so")


def test_deviates_wants_words() -> None:
    with pytest.raises(ValueError, match="reason"):
        deviates("  ")


def test_the_report_says_what_failed_and_how_to_repair_it(tmp_path: Path) -> None:
    broken = next(choose for name, choose, _ in SAMPLERS if name == "bias ignored")
    contract = contract_of(BrokenBackend(lambda: FaultySampler(broken)))
    bench = contract.open_bench()
    asked = {"test_logit_bias_by_the_reference", "test_a_seed_repeats_its_text"}
    report = build_report(contract, bench, run_checks(contract, asked))
    output, file = io.StringIO(), tmp_path / "report.json"
    write_table(report, output)
    write_json(report, file)
    text = output.getvalue()
    assert "logit_bias           native    failed" in text
    assert "FAILED test_logit_bias_by_the_reference" in text
    assert "Repair: add it per row" in " ".join(text.split())
    read = json.loads(file.read_text())
    assert (read["version"], read["protocol"], read["distribution"]) == (1, "v1", None)
    assert read["fields"]["logit_bias"]["proof"] == "failed"
    assert read["fields"]["seed"]["proof"] == "proved"


def test_something_that_failed_is_an_exit_code_of_one() -> None:
    contract = contract_of(BrokenBackend(ENGINES[0][0]))
    assert report_contract(contract, None, io.StringIO()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"backend": "toi"}, "did you mean 'toy'?"),
        ({"backend": "toy", "model": "no/such/place"}, "'no/such/place'"),
        ({"backend": "toy", "options": {"fail_load": True}}, "told to fail while loading"),
        ({"backend": "toy", "options": {"max_sequence": 3}}, "did you mean 'max_sequences'?"),
    ],
)
def test_nothing_to_test_is_said_once(arguments: dict[str, Any], words: str) -> None:
    output = io.StringIO()
    assert run_contract(**arguments, output=output) == 2
    assert words in output.getvalue()
    assert output.getvalue().count("\n") == 1


def test_a_load_that_fails_is_not_tried_for_each_check() -> None:
    loads = []

    class Failing(ToyBackend):
        def load(self, *arguments: Any) -> Any:
            loads.append(1)
            raise RuntimeError("no such device")

    results = run_checks(contract_of(Failing()))
    assert {result.status for result in results} == {"failed"}
    assert "no such device" in results[0].message
    assert len(loads) == 1


def test_the_command_line(tmp_path: Path) -> None:
    report = tmp_path / "toy.json"
    command = [sys.executable, "-m", "enginebay_core.testing", "toy", "--report", str(report)]
    done = run([*command, "--option", "max_sequences=2", "--option", "batching=single"], tmp_path)
    assert done.returncode == 0, done.stdout
    assert "PROVED: 18 of 18 claimed fields" in done.stdout
    assert "mixed steps equal apart  mixed steps are not claimed" in done.stdout
    assert ("greedy, process" in done.stdout) == process_is_installed()
    assert "in another process" not in done.stdout
    assert json.loads(report.read_text())["backend"] == "toy"
    assert json.loads(report.read_text())["distribution"].startswith("enginebay-core ")
    bad = run([*command, "--option", "max_sequences"], tmp_path)
    assert bad.returncode == 2
    assert "KEY=VALUE" in bad.stderr


def test_three_lines_under_a_strangers_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(STRANGER)
    strict = ["-W", "error", "--import-mode=importlib", "-q", "-rs"]
    done = run([sys.executable, "-m", "pytest", *strict, "test_mine.py"], tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"{len(CHECKS) - 1} passed, 1 skipped" in done.stdout


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """As with pytest and core alone: no other plugins of pytest."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
