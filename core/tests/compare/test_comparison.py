"""Real engines that differ in known ways, and what the comparison says of them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.api import ConfigError, Conversation, EngineError, ModelError, RequestError
from enginebay_core.compare import (
    Answer,
    Comparison,
    Kind,
    Named,
    Question,
    Thresholds,
    as_json,
    compare,
    objections,
)
from enginebay_core.config import ModelConfig

from .conftest import QUESTIONS, Compare, ignore, named

ALL = len(QUESTIONS)


def kinds(found: Comparison) -> set[Kind]:
    return {verdict.kind for verdict in found.verdicts}


def reasons(found: Comparison) -> str:
    return "\n".join(verdict.reason for verdict in found.verdicts)


def test_an_engine_is_the_same_as_itself(against: Compare) -> None:
    found = against()
    assert kinds(found) == {Kind.SAME}
    assert found.drift is not None
    assert (found.drift.worst, found.drift.kl) == (0, 0)
    assert found.drift.places == 24 * ALL
    assert found.tolerance == pytest.approx(0.001)
    assert list(objections(found, Thresholds())) == []


def test_float32_noise_passes_for_the_same(against: Compare) -> None:
    found = against(noise=1e-4)
    assert kinds(found) <= {Kind.SAME, Kind.ROUNDING}
    assert found.drift is not None
    assert 0 < found.drift.worst <= 2e-4 + 1e-5


def test_the_noise_of_a_short_float_is_rounding_near_ties(against: Compare) -> None:
    """The second is led along the first's answer, so all places are compared, parted or not."""
    found = against(noise=0.3, precision="bfloat16")
    assert Kind.ROUNDING in kinds(found)
    assert kinds(found) <= {Kind.SAME, Kind.ROUNDING}
    for verdict in found.verdicts:
        assert len(verdict.places) == 24
        for place in verdict.places:
            assert place.drift is not None
            assert place.drift.worst <= 0.6 + 1e-5
            assert place.lead is None or place.lead <= 0.6 + 1e-5
    assert list(objections(found, Thresholds())) == []


def test_the_same_noise_is_real_for_an_engine_that_claims_float32(against: Compare) -> None:
    found = against(noise=0.3, precision="torch.float32")
    assert kinds(found) == {Kind.REAL}
    assert list(objections(found, Thresholds())) == [
        f"{ALL} of {ALL} answers differ by more than rounding (0 would do)"
    ]
    assert list(objections(found, Thresholds(allowed=ALL))) == []


def test_a_tolerance_of_ones_own(against: Compare) -> None:
    assert kinds(against(noise=0.3, thresholds=Thresholds(tolerance=0.3))) <= {
        Kind.SAME,
        Kind.ROUNDING,
    }
    strict = Thresholds(tolerance=0.0)
    assert kinds(against(noise=1e-4, thresholds=strict)) == {Kind.REAL}
    assert kinds(against(thresholds=strict)) == {Kind.SAME}


def test_a_fault_of_late_positions_is_real_whatever_came_before(against: Compare) -> None:
    """The prompts are shorter: the answers begin alike."""
    found = against(blind_after=52)
    assert kinds(found) == {Kind.SAME, Kind.REAL}
    for verdict, answer in zip(found.verdicts, found.a.answers, strict=True):
        assert isinstance(answer, Answer)
        faulty = len(answer.prompt) + 23 > 52
        assert (verdict.kind is Kind.REAL) == faulty
        if faulty:
            assert verdict.place is not None
            assert verdict.place.index == 53 - len(answer.prompt)


def test_the_right_words_for_the_wrong_reason_are_real(against: Compare) -> None:
    """A temperature that slipped into the logits changes no greedy text."""
    found = against(sharpness=1.5)
    assert kinds(found) == {Kind.REAL}
    assert "log probabilities begin to drift" in reasons(found)
    assert all(verdict.place is None for verdict in found.verdicts)


def test_answers_that_end_alike_are_the_same_and_the_end_is_compared(against: Compare) -> None:
    found = against(named("A", ends_at=45), ends_at=45)
    assert kinds(found) == {Kind.SAME}
    for verdict, answer in zip(found.verdicts, found.a.answers, strict=True):
        assert isinstance(answer, Answer)
        ended = answer.finish == "stop"
        assert len(verdict.places) == len(answer.ids) + ended
    assert any(isinstance(one, Answer) and one.finish == "stop" for one in found.a.answers)


@pytest.mark.parametrize(("a", "b"), [(45, 47), (47, 45)])
def test_an_end_that_comes_early_or_late_is_real(against: Compare, a: int, b: int) -> None:
    found = against(named("A", ends_at=a), ends_at=b)
    [told] = [
        verdict
        for verdict, question in zip(found.verdicts, QUESTIONS, strict=True)
        if question.title == "How are you?"
    ]
    assert told.kind is Kind.REAL
    assert "'<|im_end|>'" in told.reason


def test_an_end_that_is_none_to_the_other_is_real(against: Compare, tmp_path: Path) -> None:
    """As where an export lost the stop ids of its checkpoint."""
    (tmp_path / "config.json").write_text('{"eos_token_id": 256}')
    found = against(named("A", ends_at=45), ends_at=45, model=str(tmp_path))
    assert found.verdicts[0].kind is Kind.REAL
    assert found.verdicts[0].reason == "A ends after 20 tokens (stop), B after 24 (length)"
    assert all(not place.parted for place in found.verdicts[0].places)


def test_an_end_without_log_probabilities_cannot_be_judged(against: Compare) -> None:
    quiet: dict[str, Any] = {"silent": True, "endless": False}
    found = against(named("A", ends_at=45, **quiet), ends_at=47, **quiet)
    assert Kind.UNCLEAR in kinds(found)
    assert Kind.REAL not in kinds(found)
    assert list(objections(found, Thresholds()))


def test_a_shorter_context_is_real(against: Compare) -> None:
    found = against(max_length=60)
    assert Kind.REAL in kinds(found)
    assert "B cannot follow A's answer past token" in reasons(found)
    assert against(named("A", max_length=60), max_length=60).counts == {Kind.SAME: ALL}


def test_other_prompts_are_real_and_say_where(against: Compare) -> None:
    found = against(tokenizer="shouting")
    assert found.verdicts[2].kind is Kind.SAME  # Chinese has no capitals
    assert found.verdicts[0].reason == "other prompt: 25 and 25 ids, 'e' or 'E' at 8"
    assert as_json(found, [])["questions"][0]["prompts_part_at"] == 7


@pytest.mark.parametrize("silent", ["A", "B"])
def test_one_that_is_silent_is_judged_by_the_other(against: Compare, silent: str) -> None:
    a = named("A", silent=silent == "A")
    near = against(a, noise=0.3, precision="bfloat16", silent=silent == "B")
    assert near.drift is None
    assert kinds(near) <= {Kind.SAME, Kind.ROUNDING}
    assert Kind.ROUNDING in kinds(near)
    assert all(len(verdict.places) == 24 for verdict in near.verdicts)
    far = against(a, noise=0.3, silent=silent == "B")
    assert Kind.REAL in kinds(far)


def test_where_both_are_silent_a_parting_is_unclear(against: Compare) -> None:
    a = named("A", silent=True)
    assert kinds(against(a, silent=True)) == {Kind.SAME}
    assert Kind.UNCLEAR in kinds(against(a, noise=0.3, precision="bfloat16", silent=True))


def test_a_threshold_on_what_is_not_told_cannot_pass(against: Compare) -> None:
    found = against(silent=True)
    assert list(objections(found, Thresholds())) == []
    for thresholds in (Thresholds(max_kl=1), Thresholds(max_mean=1)):
        with pytest.raises(ModelError, match="tells no log probabilities"):
            list(objections(found, thresholds))


def test_thresholds_of_drift_and_speed(against: Compare) -> None:
    found = against(noise=0.3, precision="bfloat16")
    assert found.drift is not None
    assert found.speed is not None
    mean, kl = found.drift.mean, found.drift.kl
    assert not list(objections(found, Thresholds(max_mean=mean, max_kl=kl)))
    assert len(list(objections(found, Thresholds(max_mean=mean * 0.99)))) == 1
    assert len(list(objections(found, Thresholds(max_kl=kl * 0.99)))) == 1
    assert not list(objections(found, Thresholds(min_speed=found.speed)))
    assert len(list(objections(found, Thresholds(min_speed=found.speed * 1.01)))) == 1


def test_what_neither_takes_says_nothing(against: Compare) -> None:
    def refuse(model: object) -> Conversation:
        raise RequestError("the template has no such role")

    odd = Question("odd", refuse)
    found = against(questions=[QUESTIONS[0], odd])
    assert [verdict.kind for verdict in found.verdicts] == [Kind.SAME, Kind.REFUSED]
    assert list(objections(found, Thresholds())) == []
    with pytest.raises(ModelError, match="nothing to compare: neither takes it"):
        against(questions=[odd])


def test_what_one_takes_and_the_other_does_not_is_real(against: Compare) -> None:
    found = against(max_length=34)
    assert found.verdicts[3].kind is Kind.REAL
    assert "B does not take it: its context is 34 tokens" in found.verdicts[3].reason


def test_a_model_of_vectors_cannot_be_compared() -> None:
    vectors = Named("V", ModelConfig(backend="toy", model="toy", options={"task": "embed"}))
    with pytest.raises(ConfigError, match="makes vectors"):
        compare(named("A"), vectors, QUESTIONS, Thresholds(), ignore, max_tokens=4)


def test_an_engine_that_fails_is_no_difference() -> None:
    failing = ModelConfig(backend="toy", model="toy", options={"raise_at_step": 3})
    with pytest.raises(EngineError):
        compare(named("A"), Named("F", failing), QUESTIONS, Thresholds(), ignore, max_tokens=4)


@pytest.mark.skipif(importlib.util.find_spec("zmq") is None, reason="needs enginebay-core[process]")
def test_in_a_process_of_its_own_it_says_the_same(against: Compare) -> None:
    options = {"noise": 0.3, "precision": "bfloat16", "ends_at": 45}
    inline = against(**options)
    apart = against(named("A", placement="process"), placement="process", **options)
    assert [v.kind for v in apart.verdicts] == [v.kind for v in inline.verdicts]
    assert [v.places for v in apart.verdicts] == [v.places for v in inline.verdicts]


def test_progress_tells_what_it_is_at() -> None:
    stages: list[tuple[str, int, int]] = []

    def progress(stage: str, done: int = 0, total: int = 0) -> None:
        stages.append((stage, done, total))

    a, b = named("A"), named("B", noise=0.3)
    compare(a, b, QUESTIONS, Thresholds(), progress, max_tokens=8)
    assert ("A: asking", 1, ALL) in stages
    assert ("B: following the other's answers", 3, ALL) in stages


def test_machines_get_all_of_it(against: Compare) -> None:
    found = against(noise=0.3, precision="bfloat16")
    said = json.loads(json.dumps(as_json(found, ["too slow"]), allow_nan=False))
    assert said["format"] == 1
    assert said["a"]["identity"]["versions"]["eb_skewed"] == "1.0"
    assert (said["passed"], said["objections"]) == (False, ["too slow"])
    assert (said["a"]["precision"], said["b"]["precision"]) == (None, "bfloat16")
    assert said["tolerance"] == pytest.approx(0.4)
    assert sum(said["counts"].values()) == ALL
    assert said["speed"] == pytest.approx(found.speed)
    for row, verdict in zip(said["questions"], found.verdicts, strict=True):
        assert row["verdict"] == verdict.kind
        assert row["same_prompt"]
        if verdict.place is not None:
            index = verdict.place.index
            assert row["parted"]["index"] == index
            assert row["a"]["ids"][:index] == row["b"]["ids"][:index]
            assert row["a"]["ids"][index] == row["parted"]["ids"]["a"]
            assert row["b"]["ids"][index] == row["parted"]["ids"]["b"]
