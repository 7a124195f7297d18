"""How much of a prompt the scheduler runs beside those who decode."""

from __future__ import annotations

import random
import statistics

from enginebay_core.engine.pace import FEWEST, FIRST_GUESS, MOST, PATIENCE, STALE, Pace

WEIGHTS, PER_ID = 0.1, 0.001
"""Seconds to read the weights once, and for each prompt id beside that."""


def ran(pace: Pace, decode_rows: int, prompt_ids: int) -> float:
    seconds = WEIGHTS + PER_ID * prompt_ids
    pace.observe(decode_rows, prompt_ids, seconds)
    return seconds


def test_all_of_a_prompt_when_nobody_decodes() -> None:
    assert Pace().prompt_ids(decoding=False) == MOST


def test_a_short_prompt_that_ran_alone_does_not_make_prompts_look_dear() -> None:
    pace = Pace()
    ran(pace, 0, 31)
    ran(pace, 1, 0)
    ran(pace, 0, 31)
    assert abs(pace.prompt_ids(decoding=True) - PATIENCE * WEIGHTS / PER_ID) <= 1


def test_a_first_prompt_alone_tells_nothing_yet() -> None:
    pace = Pace()
    ran(pace, 0, 31)
    ran(pace, 1, 0)
    assert pace.prompt_ids(decoding=True) == FIRST_GUESS


def test_decoding_is_seen_alone_now_and_then() -> None:
    """At first, and where prompts come without end and its cost may be another by now."""
    pace = Pace()
    assert pace.prompt_ids(decoding=True) == 0
    ran(pace, 1, 0)
    counts = []
    for _ in range(2 * STALE + 2):
        counts.append(pace.prompt_ids(decoding=True))
        ran(pace, 8, counts[-1])
    assert counts.count(0) == 2
    assert all(pace.prompt_ids(decoding=False) == MOST for pace in (Pace(), Pace(apart=True)))
    assert Pace(apart=True).prompt_ids(decoding=True) == FIRST_GUESS


def test_a_step_with_a_prompt_stays_within_patience() -> None:
    pace = Pace()
    for _ in range(3):
        step = ran(pace, 8, 0)
        assert ran(pace, 8, pace.prompt_ids(decoding=True)) <= (1 + PATIENCE) * step + PER_ID


def test_a_prompt_that_runs_apart_pays_for_the_weights_once_more() -> None:
    """Who decodes waits for both steps: under three decode steps in all."""
    pace = Pace(apart=True)
    for _ in range(3):
        decode = ran(pace, 8, 0)
        gap = decode + ran(pace, 0, pace.prompt_ids(decoding=True))
    assert 2 * decode < gap <= (1 + PATIENCE) * decode + PER_ID


def test_where_costs_vary_a_prompt_gets_less() -> None:
    """So that the worst of many steps stays under three decode steps too."""
    noise = random.Random(0)
    pace = Pace()
    gaps = []
    for turn in range(300):
        ids = pace.prompt_ids(decoding=True) if turn % 10 else 0
        seconds = WEIGHTS + PER_ID * noise.uniform(0.7, 1.3) * (1 + turn / 300) * ids
        pace.observe(8, ids, seconds)
        gaps.append(seconds)
    assert max(gaps[10:]) < 3 * WEIGHTS
    assert statistics.fmean(gaps) > 2 * WEIGHTS  # and the prompt gets on


def test_dear_prompts_still_get_on() -> None:
    pace = Pace()
    pace.observe(1, 0, 0.001)
    pace.observe(1, 100, 10.0)
    assert pace.prompt_ids(decoding=True) == FEWEST
