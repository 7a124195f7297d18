"""What may come first after a prompt, and how likely each is: told, or found out by drawing."""

from __future__ import annotations

from typing import Any, Final

from enginebay_core.api import SamplingParams
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.material import top_count, witness_prompts

DRAWS: Final = 320
HEAD: Final = 4
"""Candidates that the checks look at."""

LEARNED: Final = 8
FLAT: Final = 100.0
"""A temperature at which all candidates are about as likely."""

Candidate = tuple[int, float]


def first_choices(bench: Bench) -> tuple[tuple[int, ...], list[Candidate]]:
    """A prompt whose first id is uncertain, with its candidates and their logprobs, best first."""
    found = bench.kept.get("first choices")
    if found is None:
        told = bench.claims("top_logprobs")
        found = bench.kept["first choices"] = _told(bench) if told else _learned(bench)
    prompt, best = found
    return prompt, best


def _told(bench: Bench) -> tuple[tuple[int, ...], list[Candidate]]:
    if top_count(bench) <= HEAD:
        bench.skip(f"top_logprobs of at most {top_count(bench)} tell too little")
    sampling = bench.greedy(logprobs=top_count(bench))
    prompts = witness_prompts(bench, 16)
    answers = bench.together([bench.ask(prompt, 1, sampling=sampling) for prompt in prompts])
    told = [[(e.id, e.logprob) for e in answer.logprobs[0][1:]] for answer in answers]
    pairs = zip(prompts, told, strict=True)
    return min(pairs, key=lambda pair: pair[1][0][1] - pair[1][3][1])


def _learned(bench: Bench) -> tuple[tuple[int, ...], list[Candidate]]:
    """Where each id comes with its own logprob alone: of those that were drawn. What is likely is
    among the plain draws; the others find the rest of the ``LEARNED`` best.
    """
    if not (bench.claims("temperature") and bench.claims("top_k")):
        bench.skip("without top_logprobs, temperature and top_k the candidates stay unknown")
    prompts = witness_prompts(bench, 16)
    sampling = bench.greedy(logprobs=0)
    answers = bench.together([bench.ask(prompt, 1, sampling=sampling) for prompt in prompts])
    sure = {p: a.logprobs[0][0].logprob for p, a in zip(prompts, answers, strict=True)}
    prompt = min(prompts, key=lambda p: sure[p])
    drawn = draws(bench, prompt, temperature=1.0)
    drawn += draws(bench, prompt, temperature=FLAT, top_k=LEARNED)
    best = sorted(dict(drawn).items(), key=lambda pair: -pair[1])[:LEARNED]
    if len(best) <= HEAD:
        bench.skip(f"{len(best)} ids came in {len(drawn)} draws: too few to tell by")
    return prompt, best


def draws(bench: Bench, prompt: tuple[int, ...], **fields: Any) -> list[Candidate]:
    """The first id and its logprob, drawn with many seeds."""
    return [
        (answer.ids[0], answer.logprobs[0][0].logprob)
        for answer in _draw(bench, prompt, logprobs=0, **fields)
    ]


def first_ids(bench: Bench, prompt: tuple[int, ...], **fields: Any) -> list[int]:
    """The first id, drawn with many seeds."""
    return [answer.ids[0] for answer in _draw(bench, prompt, **fields)]


def _draw(bench: Bench, prompt: tuple[int, ...], **fields: Any) -> list[Any]:
    requests = [
        bench.ask(prompt, 1, sampling=SamplingParams(seed=seed, **fields)) for seed in range(DRAWS)
    ]
    return bench.together(requests)
