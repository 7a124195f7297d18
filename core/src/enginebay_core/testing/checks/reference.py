"""Step engines: whole requests, each id judged by the reference sampler."""

from __future__ import annotations

from typing import Any

from enginebay_core.api import GenerationRequest, SamplingParams
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.expect import expect, expect_ids
from enginebay_core.testing.marks import step_engines
from enginebay_core.testing.material import witness_prompts
from enginebay_core.testing.oracle import expect_reference


class Reference:
    @step_engines
    def test_requests_get_what_the_reference_gives(self, bench: Bench) -> None:
        """Each id of each request is what the reference sampler takes from the logits of that
        step, with the request's own parameters, seed, choice and index.

        A failure here, with the sampler's checks passing, usually means that a sampler keeps
        state between requests. Repair: keep it in ``row.memory``.
        """
        requests = reference_requests(bench)
        bench.engine.draws = []
        answers = bench.together(requests)
        draws = bench.engine.draws or []
        for request, answer in zip(requests, answers, strict=True):
            mine = [draw for draw in draws if draw.row.prompt == request.prompt]
            expect_ids([d.sampled.id for d in mine], answer.ids, "sampled, then handed out")
            for index, draw in enumerate(mine):
                expect(draw.row.params == request.sampling, f"other parameters: {draw.row.params}")
                expect_ids(draw.row.output, answer.ids[:index], "the row's output")
                expect_reference(draw.logits, draw.row, draw.sampled, f"output index {index}")


def reference_requests(bench: Bench) -> list[GenerationRequest]:
    grid: list[dict[str, Any]] = [
        {"temperature": 0.7},
        {"top_k": 3, "temperature": 1.5},
        {"top_p": 0.8},
        {"min_p": 0.1, "temperature": 1.5},
        {"presence_penalty": 1.5},
        {"frequency_penalty": 0.7},
        {"repetition_penalty": 1.4},
        {"logit_bias": {1: 4.0, 2: -3.0}, "logprobs": 3},
    ]
    prompts = witness_prompts(bench, len(grid))
    return [
        bench.ask(prompt, 10 + 2 * index, sampling=SamplingParams(seed=index, **fields))
        for index, (prompt, fields) in enumerate(zip(prompts, grid, strict=True))
    ]
