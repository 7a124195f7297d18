"""Request fields by their definition, seen from outside: for every backend, whoever samples."""

from __future__ import annotations

import math
from typing import Any

from enginebay_core.api import SamplingParams
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.equality import expect_most_same, expect_same_text
from enginebay_core.testing.expect import expect, expect_ids
from enginebay_core.testing.marks import proves
from enginebay_core.testing.material import top_count, witness_prompts


class Fields:
    @proves("temperature")
    def test_temperature_zero_is_greedy(self, bench: Bench) -> None:
        """With temperature 0 the seed has no say, and the best logprob wins where those are told.

        A failure usually means that 0 is taken as "not set". Repair: temperature 0 is the argmax.
        """
        for prompt in witness_prompts(bench, 2):
            for seed in (1, 2):
                params = SamplingParams(temperature=0.0, seed=seed)
                answer = bench.run(bench.answer(bench.ask(prompt, sampling=params)))
                expect_same_text(bench, bench.ask(prompt), answer, f"temperature=0, seed={seed}")

    @proves("top_k")
    def test_top_k_one_is_greedy(self, bench: Bench) -> None:
        """Of one candidate the best is chosen, whatever the seed.

        A failure usually means that top_k is ignored, or that 1 is taken as "off". Repair: 0 is
        off, k keeps the k best.
        """
        expect_greedy(bench, top_k=1)

    @proves("top_p")
    def test_tiny_top_p_is_greedy(self, bench: Bench) -> None:
        """The smallest mass leaves the best candidate alone.

        A failure usually means that top_p is ignored, or keeps one candidate too many. Repair:
        keep the fewest best ids whose probabilities reach top_p, at least one.
        """
        expect_greedy(bench, top_p=1e-9)

    @proves("min_p")
    def test_min_p_one_is_greedy(self, bench: Bench) -> None:
        """Only the best is as likely as the best.

        A failure usually means that min_p is ignored or taken as a probability of its own. Repair:
        keep ids with p >= min_p * p_max.
        """
        expect_greedy(bench, min_p=1.0)

    @proves("logit_bias")
    def test_logit_bias_bans_and_forces(self, bench: Bench) -> None:
        """A bias of -100 bans the ids that would come, +100 forces one that would not.

        A failure usually means a bias keyed by text, or applied to the wrong ids. Repair: add it
        to the logits by id.
        """
        (prompt,) = witness_prompts(bench, 1)
        usual = bench.lone(bench.ask(prompt)).ids
        banned = bench.greedy(logit_bias=dict.fromkeys(usual, -100.0))
        answer = bench.run(bench.answer(bench.ask(prompt, 8, sampling=banned)))
        came = set(answer.ids) & set(usual)
        expect(not came, f"ids {sorted(came)!r} came in spite of a bias of -100")
        rare = next(i for i in range(bench.limits.vocab_size) if i not in usual)
        forced = bench.greedy(logit_bias={rare: 100.0})
        answer = bench.run(bench.answer(bench.ask(prompt, 4, sampling=forced)))
        expect_ids(answer.ids, [rare] * len(answer.ids), f"a bias of +100 on id {rare}")

    @proves("repetition_penalty")
    def test_repetition_penalty_prevents_repetition(self, bench: Bench) -> None:
        """A penalty of 10 keeps greedy text from repeating an id of the prompt or the output.

        A failure usually means that the prompt does not count. Repair: count both.
        """
        texts = [(*p, *bench.lone(bench.ask(p)).ids) for p in witness_prompts(bench, 4)]
        room = bench.limits.context_length // 2
        seeded = tuple(token for text in texts for token in text)[-room:]
        sampling = bench.greedy(repetition_penalty=10.0)
        answer = bench.run(bench.answer(bench.ask(seeded, 8, sampling=sampling)))
        repeated = [t for i, t in enumerate(answer.ids) if t in seeded or t in answer.ids[:i]]
        expect(not repeated, f"ids {repeated!r} of {answer.ids!r} stand in the text already")

    @proves("logprobs", "top_logprobs")
    def test_logprobs_are_of_the_models_own_distribution(self, bench: Bench) -> None:
        """Logprobs are sorted, of distinct ids, sum to at most 1, and do not move with bias or
        temperature.

        A failure usually means logprobs taken after the sampling rules. Repair: log-softmax of
        the raw logits.
        """
        (prompt,) = witness_prompts(bench, 1)
        count = top_count(bench)
        plain = bench.run(bench.answer(bench.ask(prompt, sampling=bench.greedy(logprobs=count))))
        for token, entry in zip(plain.ids, plain.logprobs, strict=True):
            expect_wellformed(token, entry, count)
            expect(entry[1].id == token, f"greedy chose {token}, the best logprob is {entry[1]!r}")
        if bench.claims("logit_bias"):
            params = bench.greedy(logprobs=count, logit_bias={plain.ids[0]: -100.0})
            changed = bench.run(bench.answer(bench.ask(prompt, 1, sampling=params)))
            same = math.isclose(
                changed.logprobs[0][1].logprob, plain.logprobs[0][1].logprob, abs_tol=0.05
            )
            same = same and changed.logprobs[0][1].id == plain.ids[0]
            expect(same, "a logit_bias changed the logprobs; they are of the model, unmodified")


def expect_greedy(bench: Bench, **fields: Any) -> None:
    __tracebackhide__ = True
    hot: dict[str, Any] = {"temperature": 1.5} if bench.claims("temperature") else {}
    what = f"{fields!r}, which is greedy"
    same = []
    for seed, prompt in enumerate(witness_prompts(bench, 4)):
        sampling = SamplingParams(seed=seed, **hot, **fields)
        answer = bench.run(bench.answer(bench.ask(prompt, sampling=sampling)))
        same.append(expect_same_text(bench, bench.ask(prompt), answer, what))
    expect_most_same(same, what)


def expect_wellformed(token: int, entry: Any, count: int) -> None:
    __tracebackhide__ = True
    own, top = entry[0], entry[1:]
    expect(own.id == token, f"the first logprob is of id {own.id}, the id is {token}")
    expect(len(top) == count, f"{len(top)} top logprobs, {count} were asked for")
    expect(len({e.id for e in top}) == count, "an id stands twice among the top logprobs")
    values = [e.logprob for e in top]
    expect(values == sorted(values, reverse=True), "top logprobs are not sorted, best first")
    total = sum(math.exp(value) for value in values)
    expect(total < 1.001, f"the top probabilities add up to {total:.3f}")
