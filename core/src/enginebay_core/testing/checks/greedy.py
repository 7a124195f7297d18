"""Greedy text: the same alone, among others, and in whatever slot."""

from __future__ import annotations

from enginebay_core.testing.bench import Bench
from enginebay_core.testing.equality import expect_same_texts
from enginebay_core.testing.material import witness_prompts


class Greedy:
    def test_greedy_repeats_itself(self, bench: Bench) -> None:
        """The same greedy request twice, alone, gives the same ids.

        A failure usually means a random sampler behind a temperature of 0, or state that one
        request leaves for the next. Repair: temperature 0 is the argmax; start every sequence
        from an empty state.
        """
        requests = [bench.ask(prompt) for prompt in witness_prompts(bench, 2)]
        again = [bench.run(bench.answer(request)) for request in requests]
        expect_same_texts(bench, requests, again, "asked again")

    def test_greedy_among_eight_neighbours(self, bench: Bench) -> None:
        """A text is the same alone and in a batch of eight different ones.

        A failure usually means that rows touch each other: KV of another slot, a position or
        length shared by the batch, logits handed to the wrong request. Repair: run
        test_a_batch_equals_each_alone first, it shows the logits that differ.
        """
        requests = [bench.ask(prompt) for prompt in witness_prompts(bench, 8)]
        expect_same_texts(bench, requests, bench.together(requests), "among 8")
