"""Step engines: ``sample`` against the reference sampler, on logits made for the purpose."""

from __future__ import annotations

import numpy as np

from enginebay_core.api import SampleRow, SamplingParams
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.marks import proves, step_engines
from enginebay_core.testing.oracle import (
    ROWS,
    best_ids,
    draws,
    expect_all,
    expect_histories,
    expect_params,
    logit_rows,
    packed,
)


class Sampler:
    @step_engines
    def test_ties_go_to_the_lowest_id(self, bench: Bench) -> None:
        """Of equal logits, greedy and top_k take the lowest ids.

        A failure usually means an argmax or a top-k whose order among equals is undefined, as on
        GPUs. Repair: break ties by id explicitly, as the reference does.
        """
        values = np.round(logit_rows(bench, 8))
        for row in values:
            row[best_ids(row, 12)] = 11
        hot = SamplingParams(temperature=3.0, top_k=5, seed=3)
        greedy = [SampleRow(i, SamplingParams(temperature=0), (1,), ()) for i in range(8)]
        expect_all(bench, values, greedy, "twelve equal logits, greedy")
        expect_all(bench, values, list(draws([hot], 8)), "twelve equal logits, top_k=5")

    @step_engines
    @proves("temperature")
    def test_temperature_by_the_reference(self, bench: Bench) -> None:
        """Logits are divided by the temperature; 0 takes the best.

        A failure usually means a temperature that multiplies, is applied after top_p, or is
        ignored. Repair: divide once, after penalties, bias and mask, before top_k.
        """
        expect_params(bench, [{"temperature": t} for t in (0.0, 0.01, 0.3, 0.7, 1.0, 1.5, 5.0)])

    @step_engines
    @proves("top_k")
    def test_top_k_by_the_reference(self, bench: Bench) -> None:
        """Exactly the k best survive; 0 switches the rule off.

        A failure usually means one candidate too many or too few. Repair: keep the k highest,
        among equals the lowest ids.
        """
        expect_params(bench, [{"top_k": k, "temperature": 2.0} for k in (1, 2, 3, 5, 8, 0)])

    @step_engines
    @proves("top_p")
    def test_top_p_by_the_reference(self, bench: Bench) -> None:
        """The fewest best ids whose probabilities reach top_p survive, the one that crosses it
        included.

        A failure usually means that the crossing id is dropped, that the mass is taken before
        temperature or top_k, or is not normalised. Repair: softmax of what top_k left, cumulate
        from the best, keep up to and including the first sum >= top_p.
        """
        shares = (1e-6, 0.2, 0.5, 0.8, 0.95, 1.0)
        expect_params(bench, [{"top_p": p} for p in shares])
        expect_params(bench, [{"top_p": p, "top_k": 6, "temperature": 1.7} for p in shares])

    @step_engines
    @proves("min_p")
    def test_min_p_by_the_reference(self, bench: Bench) -> None:
        """Ids at least min_p times as likely as the best survive.

        A failure usually means that min_p is compared with the probability itself instead of its
        share of the best one's. Repair: keep p >= min_p * p_max, after temperature.
        """
        expect_params(bench, [{"min_p": p, "temperature": 1.3} for p in (0.02, 0.2, 0.5, 0.9, 1.0)])

    @step_engines
    @proves("presence_penalty")
    def test_presence_penalty_by_the_reference(self, bench: Bench) -> None:
        """Each id of the output is lowered once, however often it came; the prompt does not count.

        A failure usually means that it is mapped to the frequency penalty, or counts the prompt.
        Repair: logits -= presence_penalty * (count in the output > 0).
        """
        expect_histories(bench, [{"presence_penalty": p} for p in (2.0, 0.7, -1.5)])

    @step_engines
    @proves("frequency_penalty")
    def test_frequency_penalty_by_the_reference(self, bench: Bench) -> None:
        """Each id of the output is lowered for every time that it came; the prompt does not count.

        A failure usually means that it is mapped to the presence penalty, or counts the prompt.
        Repair: logits -= frequency_penalty * count in the output.
        """
        expect_histories(bench, [{"frequency_penalty": p} for p in (2.0, 0.4, -0.9)])

    @step_engines
    @proves("repetition_penalty")
    def test_repetition_penalty_by_the_reference(self, bench: Bench) -> None:
        """Ids of prompt and output: positive logits are divided, negative ones multiplied.

        A failure usually means that the prompt is left out, or that negative logits are divided
        too, which favours them. Repair: the formula of CTRL (arXiv:1909.05858) over both.
        """
        penalties: list[dict[str, float]] = [{"repetition_penalty": p} for p in (1.3, 4.0, 0.6)]
        expect_histories(bench, penalties)
        expect_histories(bench, penalties, shift=-12.0)

    @step_engines
    @proves("logit_bias")
    def test_logit_bias_by_the_reference(self, bench: Bench) -> None:
        """The bias is added to the logits of its ids, before the temperature.

        A failure usually means a bias applied after the temperature, to the wrong ids, or to the
        whole batch. Repair: add it per row, after penalties and before everything else.
        """
        values = logit_rows(bench, ROWS, 5)
        rows = []
        for index, logits in enumerate(values):
            best = best_ids(logits, 6)
            bias = {best[0]: -100.0, best[1]: -1.5, best[4]: 2.5, best[5]: 0.75}
            params = SamplingParams(
                temperature=(0.0, 0.5, 2.0)[index % 3], logit_bias=bias, seed=index
            )
            rows.append(SampleRow(index, params, (1,), ()))
        expect_all(bench, values, rows, "logit_bias")

    @step_engines
    @proves("min_tokens")
    def test_banned_ids_are_never_chosen(self, bench: Bench) -> None:
        """``row.banned`` cannot be chosen, whatever bias or temperature say.

        A failure usually means that ``banned`` is not read; it carries the stop ids before
        min_tokens. Repair: set their logits to minus infinity after bias and mask.
        """
        values = logit_rows(bench, ROWS, 6)
        rows = []
        for index, logits in enumerate(values):
            best = best_ids(logits, 3)
            temperature = (0.0, 1.0)[index % 2]
            params = SamplingParams(temperature=temperature, logit_bias={best[1]: 50.0}, seed=index)
            rows.append(SampleRow(index, params, (1,), (), banned=frozenset(best[:2])))
        expect_all(bench, values, rows, "banned ids")

    @step_engines
    def test_masks_are_read_bit_by_bit(self, bench: Bench) -> None:
        """Of a row with a mask, only ids whose bit is set can be chosen: bit i % 32 of word
        i // 32, the lowest bit first.

        A failure usually means that the bits are read from the other end, or that the last,
        partly filled word is left out. Repair: ``(mask[i // 32] >> (i % 32)) & 1``.
        """
        vocab = bench.limits.vocab_size
        values = logit_rows(bench, ROWS, 7)
        draw = np.random.default_rng(11)
        rows = []
        for index in range(ROWS):
            allowed = draw.random(vocab) < (0.02, 0.3)[index % 2]
            allowed[[vocab - 1, int(draw.integers(vocab))]] = True
            values[index, vocab - 1] += 6 * (index % 3)
            params = SamplingParams(temperature=(0.0, 1.0)[index % 2], seed=index)
            rows.append(SampleRow(index, params, (1,), (), mask=packed(allowed)))
        expect_all(bench, values, rows, "masks")

    @step_engines
    @proves("seed", "n")
    def test_noise_depends_on_seed_choice_and_index(self, bench: Bench) -> None:
        """The id is a function of seed, choice, output index and logits: not of the row, the
        neighbours or earlier calls.

        A failure usually means one generator for the whole batch, or one whose state moves with
        every call. Repair: noise from ``noise_key(seed, choice, len(output))`` and ``gumbel``.
        """
        values = np.repeat(logit_rows(bench, 1, 8), ROWS, axis=0)
        rows = [
            SampleRow(
                index,
                SamplingParams(temperature=2.0, seed=(5, -(2**63), 2**63 - 1)[index % 3]),
                prompt=(1,),
                output=tuple([2] * (index // 6)),
                choice=index // 3 % 2,
            )
            for index in range(ROWS)
        ]
        expect_all(bench, values, rows, "one row of logits, many seeds, choices and indices")
        expect_all(bench, values, [rows[30]], "alone in the batch")

    @step_engines
    @proves("logprobs", "top_logprobs")
    def test_logprobs_by_the_reference(self, bench: Bench) -> None:
        """Logprobs are of the model's own distribution, before penalties, bias and temperature.

        A failure usually means logprobs of the modified logits, or fewer or unsorted entries.
        Repair: log-softmax of the logits as ``forward`` returned them.
        """
        values = logit_rows(bench, ROWS, 9)
        rows = []
        for index, logits in enumerate(values):
            best = best_ids(logits, 2)
            params = SamplingParams(
                temperature=(0.0, 0.5, 1.8)[index % 3],
                presence_penalty=1.0,
                logit_bias={best[1]: 3.0},
                logprobs=(0, 1, 5, 20)[index % 4],
                seed=index,
            )
            rows.append(SampleRow(index, params, (1,), (best[0],)))
        expect_all(bench, values, rows, "logprobs")

    @step_engines
    def test_all_rules_together_by_the_reference(self, bench: Bench) -> None:
        """Rules in their fixed order: penalties, bias, mask, temperature, top_k, top_p, min_p.

        A failure here, with the single rules passing, usually means another order. Repair: see
        the head of ``enginebay_core/api/numpy_sampling.py``.
        """
        together = {"presence_penalty": 0.8, "frequency_penalty": 0.3, "repetition_penalty": 1.2}
        grid = [
            {"temperature": t, "top_k": k, "top_p": p, "min_p": m, **together}
            for t, k, p, m in ((1.6, 10, 0.9, 0.05), (0.8, 4, 0.7, 0.0), (2.5, 0, 0.8, 0.1))
        ]
        expect_histories(bench, grid)

    @step_engines
    def test_rows_choose_from_their_own_logits(self, bench: Bench) -> None:
        """``row.index`` says which logits a row reads; results come in the order of the rows.

        A failure usually means that rows and logits are paired by position. Repair: gather
        ``logits[row.index]`` first.
        """
        values = logit_rows(bench, 12, 10)
        params = SamplingParams(temperature=0)
        rows = [SampleRow(index, params, (1,), ()) for index in (7, 2, 11, 0, 5)]
        expect_all(bench, values, rows, "rows out of order")
