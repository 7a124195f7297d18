"""Samplers with one fault each, over the toy's logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from enginebay_core.api import (
    Sampled,
    SamplerMemory,
    SampleRow,
    SamplingParams,
    gumbel,
    noise_key,
    sample_row,
)
from enginebay_core.api.numpy_sampling import adjust, survivors, with_logprobs
from enginebay_core.toy import ToyEngine

Floats = npt.NDArray[np.float32]
Choose = Callable[[Floats, SampleRow], Sampled]


def fresh(row: SampleRow, **changes: Any) -> SampleRow:
    """The row as a faulty sampler sees it."""
    return replace(row, memory=SamplerMemory(), **changes)


def with_params(change: Callable[[SamplingParams], dict[str, Any]]) -> Choose:
    """A sampler that reads some parameters wrongly."""

    def choose(logits: Floats, row: SampleRow) -> Sampled:
        return sample_row(logits, fresh(row, params=replace(row.params, **change(row.params))))

    return choose


def draw(adjusted: Floats, row: SampleRow, logits: Floats) -> Sampled:
    """The reference from the temperature on."""
    plain = replace(
        row.params,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        repetition_penalty=1.0,
        logit_bias={},
        logprobs=None,
    )
    chosen = sample_row(adjusted, fresh(row, params=plain, banned=frozenset(), mask=None)).id
    return with_logprobs(chosen, logits, row.params.logprobs)


def counts_the_prompt(logits: Floats, row: SampleRow) -> Sampled:
    whole = (*row.prompt, *row.output)
    return draw(adjust(logits, fresh(row, output=whole)), row, logits)


def repetition_of_output_alone(logits: Floats, row: SampleRow) -> Sampled:
    return draw(adjust(logits, fresh(row, prompt=())), row, logits)


def repetition_divides_all(logits: Floats, row: SampleRow) -> Sampled:
    penalty = row.params.repetition_penalty
    rest = adjust(logits, fresh(row, params=replace(row.params, repetition_penalty=1.0))).copy()
    seen = sorted({*row.prompt, *row.output})
    rest[seen] /= np.float32(penalty)
    return draw(rest, row, logits)


def bias_after_temperature(logits: Floats, row: SampleRow) -> Sampled:
    heat = row.params.temperature or 1.0
    bias = {token: value * heat for token, value in row.params.logit_bias.items()}
    adjusted = adjust(logits, fresh(row, params=replace(row.params, logit_bias={}))).copy()
    for token, value in bias.items():
        adjusted[token] += value
    return draw(adjusted, row, logits)


def without_mask(logits: Floats, row: SampleRow) -> Sampled:
    return sample_row(logits, fresh(row, mask=None))


def mask_from_the_other_end(logits: Floats, row: SampleRow) -> Sampled:
    if row.mask is None:
        return sample_row(logits, row)
    bits = np.unpackbits(row.mask.view(np.uint8), bitorder="little")
    turned = np.packbits(bits, bitorder="big").view(np.int32)
    return sample_row(logits, fresh(row, mask=turned))


def ties_to_the_highest(logits: Floats, row: SampleRow) -> Sampled:
    adjusted = adjust(logits, fresh(row))
    if row.params.temperature:
        return sample_row(logits, fresh(row))
    return with_logprobs(
        adjusted.size - 1 - int(adjusted[::-1].argmax()), logits, row.params.logprobs
    )


def modified_logprobs(logits: Floats, row: SampleRow) -> Sampled:
    return with_logprobs(
        sample_row(logits, fresh(row)).id, adjust(logits, fresh(row)), row.params.logprobs
    )


def chosen_from(logits: Floats, row: SampleRow, ids: npt.NDArray[np.int64]) -> Sampled:
    scores = logits[ids].astype(np.float64) / row.params.temperature
    key = noise_key(row.params.seed or 0, row.choice, len(row.output))
    chosen = int(ids[(scores + gumbel(key, ids)).argmax()])
    return with_logprobs(chosen, logits, row.params.logprobs)


def without_the_crossing_id(logits: Floats, row: SampleRow) -> Sampled:
    if row.params.top_p == 1 or row.params.temperature == 0:
        return sample_row(logits, fresh(row))
    ids, scores = survivors(adjust(logits, fresh(row)), row.params)
    if len(ids) > 1:
        ids = np.delete(ids, scores.argmin())
    return chosen_from(logits, row, ids)


def min_p_by_itself(logits: Floats, row: SampleRow) -> Sampled:
    if row.params.min_p == 0 or row.params.temperature == 0:
        return sample_row(logits, fresh(row))
    ids, scores = survivors(logits, replace(row.params, min_p=0.0))
    shares = np.exp(scores - scores.max())
    kept = ids[shares / shares.sum() >= row.params.min_p]
    return chosen_from(logits, row, kept if kept.size else ids[[scores.argmax()]])


def top_p_before_temperature(logits: Floats, row: SampleRow) -> Sampled:
    heat = row.params.temperature
    if row.params.top_p == 1 or heat == 0:
        return sample_row(logits, fresh(row))
    adjusted = adjust(logits, fresh(row))
    cold = replace(row.params, temperature=1.0)
    return chosen_from(adjusted, row, survivors(adjusted, cold)[0])


def without_banned(logits: Floats, row: SampleRow) -> Sampled:
    return sample_row(logits, fresh(row, banned=frozenset()))


def without_choice(logits: Floats, row: SampleRow) -> Sampled:
    return sample_row(logits, fresh(row, choice=0))


def without_index(logits: Floats, row: SampleRow) -> Sampled:
    return sample_row(logits, fresh(row, output=()))


def presence_as_frequency(params: SamplingParams) -> dict[str, Any]:
    return {"presence_penalty": 0.0, "frequency_penalty": params.presence_penalty}


def frequency_as_presence(params: SamplingParams) -> dict[str, Any]:
    return {"frequency_penalty": 0.0, "presence_penalty": params.frequency_penalty}


COOL = with_params(lambda p: {"temperature": min(p.temperature, 1.0)})
INVERSE = with_params(lambda p: {"temperature": p.temperature and 1 / p.temperature})
NEVER_GREEDY = with_params(lambda p: {"temperature": p.temperature or 1.0})
K_PLUS_ONE = with_params(lambda p: {"top_k": p.top_k and p.top_k + 1})
K_MINUS_ONE = with_params(lambda p: {"top_k": p.top_k and max(p.top_k - 1, 1)})
WITHOUT_TOP_P = with_params(lambda _: {"top_p": 1.0})
WITHOUT_BIAS = with_params(lambda _: {"logit_bias": {}})
WITHOUT_SEED = with_params(lambda _: {"seed": 0})

SAMPLERS: Sequence[tuple[str, Choose, tuple[str, ...]]] = (
    ("temperature at most 1", COOL, ("temperature_by_the_reference",)),
    (
        "temperature multiplies",
        INVERSE,
        ("temperature_by_the_reference", "temperature_sets_the_odds"),
    ),
    ("temperature 0 samples", NEVER_GREEDY, ("temperature_zero_is_greedy",)),
    ("top_k one too many", K_PLUS_ONE, ("top_k_by_the_reference", "top_k_keeps_k")),
    ("top_k one too many, even one", K_PLUS_ONE, ("top_k_one_is_greedy",)),
    ("top_k one too few", K_MINUS_ONE, ("top_k_by_the_reference", "top_k_keeps_k")),
    ("top_p ignored", WITHOUT_TOP_P, ("tiny_top_p_is_greedy",)),
    (
        "top_p without the crossing id",
        without_the_crossing_id,
        ("top_p_by_the_reference", "top_p_keeps_the_nucleus"),
    ),
    ("top_p before temperature", top_p_before_temperature, ("top_p_by_the_reference",)),
    (
        "top_p before temperature",
        top_p_before_temperature,
        ("all_rules_together_by_the_reference",),
    ),
    (
        "min_p of one, not of the best",
        min_p_by_itself,
        ("min_p_by_the_reference", "min_p_keeps_the_likely"),
    ),
    (
        "presence as frequency",
        with_params(presence_as_frequency),
        ("presence_penalty_by_the_reference", "presence_penalty_is_paid_once"),
    ),
    (
        "frequency as presence",
        with_params(frequency_as_presence),
        ("frequency_penalty_by_the_reference", "frequency_penalty_is_paid_each_time"),
    ),
    (
        "penalties count the prompt",
        counts_the_prompt,
        (
            "presence_penalty_by_the_reference",
            "presence_penalty_is_paid_once",
            "frequency_penalty_by_the_reference",
            "frequency_penalty_is_paid_each_time",
        ),
    ),
    (
        "repetition forgets the prompt",
        repetition_of_output_alone,
        ("repetition_penalty_by_the_reference", "repetition_penalty_prevents_repetition"),
    ),
    (
        "repetition divides negative logits",
        repetition_divides_all,
        ("repetition_penalty_by_the_reference",),
    ),
    ("bias after temperature", bias_after_temperature, ("logit_bias_by_the_reference",)),
    ("bias ignored", WITHOUT_BIAS, ("logit_bias_bans_and_forces",)),
    (
        "banned ids ignored",
        without_banned,
        ("banned_ids_are_never_chosen", "min_tokens_keeps_stop_ids_away"),
    ),
    (
        "mask ignored",
        without_mask,
        ("masks_are_read_bit_by_bit", "outputs_are_valid_under_their_schema"),
    ),
    ("mask from the other end", mask_from_the_other_end, ("masks_are_read_bit_by_bit",)),
    ("ties to the highest id", ties_to_the_highest, ("ties_go_to_the_lowest_id",)),
    (
        "logprobs after the rules",
        modified_logprobs,
        ("logprobs_by_the_reference", "logprobs_are_of_the_models_own_distribution"),
    ),
    ("seed ignored", WITHOUT_SEED, ("a_seed_repeats_its_text",)),
    (
        "choice ignored",
        without_choice,
        ("noise_depends_on_seed_choice_and_index", "choices_differ_and_repeat"),
    ),
    ("output index ignored", without_index, ("noise_depends_on_seed_choice_and_index",)),
)
"""Each fault with the checks that are meant for it."""


class FaultySampler(ToyEngine):
    def __init__(self, choose: Choose) -> None:
        super().__init__()
        self._choose = choose

    def sample(self, logits: Floats, rows: Sequence[SampleRow]) -> list[Sampled]:
        return [self._choose(logits[row.index], row) for row in rows]


class OneSeedForAllRows(ToyEngine):
    def sample(self, logits: Floats, rows: Sequence[SampleRow]) -> list[Sampled]:
        first = rows[0].params.seed
        shared = [replace(row, params=replace(row.params, seed=first)) for row in rows]
        return super().sample(logits, shared)


class NoiseFromAState(ToyEngine):
    calls = 0

    def sample(self, logits: Floats, rows: Sequence[SampleRow]) -> list[Sampled]:
        self.calls += 1
        moved = [replace(row, choice=row.choice + self.calls) for row in rows]
        return super().sample(logits, moved)


class RowsByPosition(ToyEngine):
    def sample(self, logits: Floats, rows: Sequence[SampleRow]) -> list[Sampled]:
        return super().sample(logits, [replace(row, index=i) for i, row in enumerate(rows)])


class CountsOfTheRowBefore(ToyEngine):
    """Keeps what it counts by place in the batch, not by sequence."""

    def __init__(self) -> None:
        super().__init__()
        self._memories = [SamplerMemory() for _ in range(64)]

    def sample(self, logits: Floats, rows: Sequence[SampleRow]) -> list[Sampled]:
        kept = [replace(row, memory=self._memories[i]) for i, row in enumerate(rows)]
        return super().sample(logits, kept)


BATCH_SAMPLERS: Sequence[tuple[type[ToyEngine], tuple[str, ...]]] = (
    (
        OneSeedForAllRows,
        (
            "noise_depends_on_seed_choice_and_index",
            "sixteen_interleaved",
        ),
    ),
    (
        NoiseFromAState,
        (
            "noise_depends_on_seed_choice_and_index",
            "a_seed_among_eight_neighbours",
        ),
    ),
    (RowsByPosition, ("rows_choose_from_their_own_logits",)),
    (CountsOfTheRowBefore, ("requests_get_what_the_reference_gives",)),
)
