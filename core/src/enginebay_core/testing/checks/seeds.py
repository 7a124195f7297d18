"""Seeds: the same text again, alone or among others; other seeds and choices, other texts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from enginebay_core.api import GenerationRequest, SamplingParams
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.equality import expect_same_texts
from enginebay_core.testing.expect import expect
from enginebay_core.testing.marks import proves
from enginebay_core.testing.material import witness_prompts


class Seeds:
    @proves("seed")
    def test_a_seed_repeats_its_text(self, bench: Bench) -> None:
        """The same request with the same seed gives the same text; other seeds give others.

        A failure usually means that the seed is not passed on, or seeds the process once. Repair:
        noise from (seed, choice, output index), nothing else.
        """
        requests = sampled_requests(bench, 4)
        again = [bench.run(bench.answer(request)) for request in requests]
        expect_same_texts(bench, requests, again, "the same seed again")
        one = requests[0]
        others = [replace(one, sampling=replace(one.sampling, seed=s)) for s in range(100, 108)]
        texts = {bench.lone(request).ids for request in others}
        expect(len(texts) > 1, "eight other seeds all give one text")

    @proves("seed")
    def test_a_seed_among_eight_neighbours(self, bench: Bench) -> None:
        """A seeded text is the same alone and in a batch of eight others.

        A failure usually means one random generator for the whole batch. Repair: noise per row.
        """
        requests = sampled_requests(bench, 8)
        expect_same_texts(bench, requests, bench.together(requests), "seeded, among 8")

    @proves("n")
    def test_choices_differ_and_repeat(self, bench: Bench) -> None:
        """The choices of one request run together; each is what it is alone, and with a seed they
        differ from each other.

        A failure usually means that ``choice`` is not part of the noise, so that n answers are
        one answer n times. Repair: pass ``row.choice`` to ``noise_key``.
        """
        base = sampled_requests(bench, 1)[0] if bench.claims("seed") else plain(bench)
        choices = [replace(base, choice=choice) for choice in range(4)]
        answers = bench.together(choices)
        expect_same_texts(bench, choices, answers, "one of four choices")
        if bench.claims("seed"):
            texts = {answer.ids for answer in answers}
            expect(len(texts) > 1, "four choices with one seed are one text four times")


def plain(bench: Bench) -> GenerationRequest:
    return bench.ask(witness_prompts(bench, 1)[0])


def sampled_requests(bench: Bench, count: int) -> list[GenerationRequest]:
    hot: dict[str, Any] = {"temperature": 1.5} if bench.claims("temperature") else {}
    return [
        bench.ask(prompt, sampling=SamplingParams(seed=7, **hot))
        for prompt in witness_prompts(bench, count)
    ]
