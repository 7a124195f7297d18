"""Drift and leads against known distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from enginebay_core.api.numpy_sampling import with_logprobs
from enginebay_core.compare.answer import Told
from enginebay_core.compare.drift import divergence, measure, summarise
from enginebay_core.compare.side import finite


def told(logits: np.ndarray, top: int = 20) -> Told:
    """As the reference sampler tells it."""
    sampled = with_logprobs(int(logits.argmax()), logits, top)
    known = {one.id: one.logprob for one in sampled.top}
    assert sampled.logprob is not None
    return Told(sampled.id, {sampled.id: sampled.logprob, **known})


def random_logits(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, 500).astype(np.float32)


@pytest.mark.parametrize("noise", [1e-3, 0.05, 0.4])
def test_honest_logits_drift_by_twice_their_noise_at_most(noise: float) -> None:
    for seed in range(200):
        logits = random_logits(seed)
        off = np.random.default_rng([seed, 1]).uniform(-noise, noise, 500).astype(np.float32)
        a, b = told(logits), told(logits + off)
        drift = measure(a, b)
        assert drift is not None
        assert drift.own <= drift.worst <= 2 * noise + 1e-5
        assert drift.worst > 0
        if a.id != b.id:
            lead = a.lead_over(b.id)
            assert lead is not None
            assert 0 <= lead <= 2 * noise + 1e-5


def test_the_divergence_is_that_of_the_whole_distribution_where_all_is_told() -> None:
    one, other = random_logits(1)[:12], random_logits(2)[:12]
    a, b = told(one), told(other)
    p, q = (np.exp(x - np.log(np.exp(x).sum())) for x in (one.astype(float), other.astype(float)))
    assert divergence(a.logprobs, b.logprobs) == pytest.approx(float((p * np.log(p / q)).sum()))


def test_of_a_part_it_is_less_than_the_whole() -> None:
    one, other = random_logits(1), random_logits(2)
    whole = divergence(told(one, 500).logprobs, told(other, 500).logprobs)
    assert 0 < divergence(told(one).logprobs, told(other).logprobs) <= whole


def test_the_same_has_no_drift() -> None:
    a = told(random_logits(3))
    drift = measure(a, a)
    assert drift is not None
    assert (drift.own, drift.worst, drift.kl) == (0, 0, 0)


def test_an_id_that_one_side_does_not_tell_counts_by_what_is_certain() -> None:
    a = Told(1, {1: -0.1, 2: -3.0})
    b = Told(3, {3: -0.1, 4: -5.0})
    drift = measure(a, b)
    assert drift is not None
    assert drift.own == pytest.approx(4.9)  # 1 is no likelier to b than 4
    assert a.lead_over(3) == pytest.approx(2.9)


def test_nothing_told_is_nothing_measured() -> None:
    assert measure(Told(1), Told(1, {1: -0.1, 2: -3.0})) is None
    assert summarise([None, None]) is None
    assert Told(1).lead_over(2) is None
    assert Told(1, {1: -0.1}).lead_over(2) is None  # its own alone: of others nothing follows


def test_what_is_no_number_is_the_least_likely() -> None:
    assert finite(math.nan) == finite(-math.inf) == -9999
    drift = measure(Told(1, {1: finite(math.nan), 2: -1.0}), Told(1, {1: -0.1, 2: -1.0}))
    assert drift is not None
    assert drift.worst > 9000
