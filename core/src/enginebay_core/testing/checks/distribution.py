"""Request fields by what the logprobs say must happen: for every backend that tells them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from enginebay_core.compare.tolerance import unseen_noise_bound
from enginebay_core.testing.bench import Answer, Bench
from enginebay_core.testing.candidates import DRAWS, HEAD, draws, first_choices, first_ids
from enginebay_core.testing.expect import expect
from enginebay_core.testing.marks import needs, proves
from enginebay_core.testing.material import top_count, witness_prompts

COLD = 0.2
WARM = 3.0


class Distribution:
    @proves("top_k")
    @needs("logprobs")
    def test_top_k_keeps_k(self, bench: Bench) -> None:
        """With top_k=4 and a flat temperature, just the four best ids come, and all four.

        A failure usually means one candidate too many or too few. Repair: keep the k highest.
        """
        prompt, best = first_choices(bench)
        flat: dict[str, Any] = {"temperature": 100.0} if bench.claims("temperature") else {}
        seen = set(first_ids(bench, prompt, top_k=4, **flat))
        allowed = {entry[0] for entry in best[:4]}
        expect(seen <= allowed, f"ids {sorted(seen - allowed)!r} are not among the four best")
        expect(not flat or seen == allowed, f"{sorted(allowed - seen)!r} never came in {DRAWS}")

    @proves("top_p")
    @needs("logprobs")
    def test_top_p_keeps_the_nucleus(self, bench: Bench) -> None:
        """Only ids of the nucleus come: the fewest best that together reach top_p.

        A failure usually means that the crossing id is left out or one more let in. Repair: keep
        up to and including the id that reaches top_p.
        """
        prompt, best = first_choices(bench)
        sums = running_sums([math.exp(logprob) for _, logprob in best])
        share = (sums[1] + sums[2]) / 2  # so that the third id is the one that crosses
        seen = set(first_ids(bench, prompt, top_p=share))
        allowed = {entry[0] for entry in best[:3]}
        expect(seen <= allowed, f"top_p={share:.4f}: {sorted(seen - allowed)!r} came too")
        expect_seen(seen, best[:3], f"top_p={share:.4f}")

    @proves("min_p")
    @needs("logprobs")
    def test_min_p_keeps_the_likely(self, bench: Bench) -> None:
        """Only ids at least min_p times as likely as the best come.

        A failure usually means that min_p is compared with the probability itself. Repair: keep
        p >= min_p * p_max.
        """
        prompt, best = first_choices(bench)
        ratios = [math.exp(logprob - best[0][1]) for _, logprob in best]
        share = (ratios[2] + ratios[3]) / 2
        seen = set(first_ids(bench, prompt, min_p=share))
        even = [ratio >= share * (1 - 1e-6) for ratio in ratios]  # the fourth may be as likely
        allowed = {entry[0] for entry, stays in zip(best, even, strict=True) if stays}
        expect(seen <= allowed, f"min_p={share:.4f}: {sorted(seen - allowed)!r} came too")
        expect_seen(seen, best[:3], f"min_p={share:.4f}")

    @proves("temperature")
    @needs("logprobs")
    def test_temperature_sets_the_odds(self, bench: Bench) -> None:
        """How often the best ids come is what their logprobs, divided by the temperature, say.

        A failure usually means a temperature that multiplies, or is applied twice. Repair: divide
        the logits by it, once.
        """
        prompt, best = first_choices(bench)
        lead = best[0][1] - best[HEAD][1]
        temperature = COLD if lead < math.log(3) / COLD else min(100.0, lead / math.log(3))
        ids = first_ids(bench, prompt, temperature=temperature)
        counted = [token for token in ids if temperature < 1 or token in dict(best[: HEAD + 1])]
        low, high = share_of_the_head([logprob for _, logprob in best], temperature)
        if len(counted) < 20:
            bench.skip("the best ids are too rare to count")
        spread = 5 * math.sqrt(max(high * (1 - high), low * (1 - low)) / len(counted)) + 0.01
        share = sum(token in dict(best[:HEAD]) for token in counted) / len(counted)
        expect(
            low - spread < share < high + spread,
            f"temperature={temperature:.2f}: the {HEAD} best ids came in {share:.0%} of "
            f"{len(counted)} draws, expected {low:.0%} to {high:.0%}",
        )

    @proves("logprobs")
    @needs("temperature")
    def test_logprobs_say_how_often_ids_come(self, bench: Bench) -> None:
        """At temperature 1 ids come as often as their logprobs say, and at another temperature
        each has the same one.

        A failure usually means logprobs of the logits as temperature and top_p have left them.
        Repair: log-softmax of the raw logits, at the id that was chosen.
        """
        prompt, _ = first_choices(bench)
        plain = draws(bench, prompt, temperature=1.0)
        known = agreed(bench, [*plain, *draws(bench, prompt, temperature=WARM)])
        head = sorted(known, key=lambda token: -known[token])[:HEAD]
        expected = sum(math.exp(known[token]) for token in head)
        share = sum(token in head for token, _ in plain) / len(plain)
        spread = 5 * math.sqrt(expected * max(0.0, 1 - expected) / len(plain)) + 0.01
        expect(
            abs(share - expected) < spread,
            f"the {len(head)} best ids came in {share:.0%} of {len(plain)} draws, their logprobs "
            f"say {expected:.0%}",
        )

    @proves("presence_penalty")
    @needs("top_logprobs")
    def test_presence_penalty_is_paid_once(self, bench: Bench) -> None:
        """Greedy with a presence penalty gives the ids worked out from the logprobs.

        A failure usually means that it counts every time, or the prompt. Repair: subtract it once
        from each id of the output.
        """
        expect_penalty(bench, "presence_penalty", lambda count: float(count > 0))

    @proves("frequency_penalty")
    @needs("top_logprobs")
    def test_frequency_penalty_is_paid_each_time(self, bench: Bench) -> None:
        """Greedy with a frequency penalty gives the ids worked out from the logprobs.

        A failure usually means that it counts once, or the prompt. Repair: subtract it for every
        time that the id stands in the output.
        """
        expect_penalty(bench, "frequency_penalty", float)


def agreed(bench: Bench, drawn: list[tuple[int, float]]) -> dict[int, float]:
    """One logprob per id, and no more of them than there can be."""
    __tracebackhide__ = True
    noise = max(0.05, unseen_noise_bound(bench.limits.facts))
    known: dict[int, float] = {}
    for token, logprob in drawn:
        first = known.setdefault(token, logprob)
        expect(
            abs(first - logprob) <= noise,
            f"after one prompt id {token} has the logprob {first:.3f}, and {logprob:.3f} at "
            "another time or temperature",
        )
    total = sum(math.exp(logprob) for logprob in known.values())
    expect(total < 1 + noise, f"the probabilities of distinct ids add up to {total:.3f}")
    return known


def share_of_the_head(logprobs: list[float], temperature: float) -> tuple[float, float]:
    """Between what the probability of the ``HEAD`` best lies when only the best logprobs are
    known. Below a temperature of 1, of all draws: each id that is not told is at most as likely
    as the last that is. From 1 on, of the draws that gave one of the ``HEAD`` + 1 best.
    """
    told = [math.exp((logprob - logprobs[0]) / temperature) for logprob in logprobs]
    head = sum(told[:HEAD])
    if temperature >= 1:
        share = head / sum(told[: HEAD + 1])
        return share, share
    untold = max(0.0, 1 - sum(math.exp(logprob) for logprob in logprobs))
    ratio = untold / math.exp(logprobs[-1])  # as many ids as could share it, at most
    return head / (sum(told) + ratio * told[-1]), head / sum(told)


def expect_seen(seen: set[int], best: list[tuple[int, float]], what: str) -> None:
    """Every candidate that is not rare has come."""
    __tracebackhide__ = True
    total = sum(math.exp(logprob) for _, logprob in best)
    for token, logprob in best:
        share = math.exp(logprob) / total
        rare = (1 - share) ** DRAWS > 1e-6
        expect(
            rare or token in seen, f"{what}: id {token}, {share:.0%} of what is left, never came"
        )


def running_sums(values: list[float]) -> list[float]:
    return [sum(values[: index + 1]) for index in range(len(values))]


def expect_penalty(bench: Bench, field: str, times: Callable[[int], float]) -> None:
    """Each greedy id leads by logprob less penalty, among those that the answer tells. Negative
    penalties make ids come again and again, so that times differ from presence.
    """
    __tracebackhide__ = True
    moved = 0
    for index, prompt in enumerate(uncertain_prompts(bench, 6)):
        params: dict[str, Any] = {field: (2.0, -2.0, -0.7)[index % 3]}
        sampling = replace(bench.greedy(logprobs=top_count(bench)), **params)
        repeats = bench.lone(bench.ask(prompt)).ids[:4]
        answer = bench.run(bench.answer(bench.ask((*prompt, *repeats), sampling=sampling)))
        expect_adjusted(answer, field, params[field], times)
        pairs = zip(answer.ids, answer.logprobs, strict=True)
        moved += sum(entry[1].id != token for token, entry in pairs)
    if not moved:
        bench.skip(f"{field} moved no choice in six texts, so that nothing can be told")


def uncertain_prompts(bench: Bench, count: int) -> list[tuple[int, ...]]:
    """Those whose answers have the most places where a penalty of 2 can move the choice."""
    prompts = witness_prompts(bench, 16)
    sampling = bench.greedy(logprobs=2)
    answers = bench.together([bench.ask(prompt, sampling=sampling) for prompt in prompts])
    close = [
        sum(entry[1].logprob - entry[2].logprob < 1.5 for entry in answer.logprobs)
        for answer in answers
    ]
    ranked = sorted(zip(close, prompts, strict=True), reverse=True)
    return [prompt for _, prompt in ranked[:count]]


def expect_adjusted(
    answer: Answer, field: str, penalty: float, times: Callable[[int], float]
) -> None:
    __tracebackhide__ = True
    for index, (token, entry) in enumerate(zip(answer.ids, answer.logprobs, strict=True)):
        before = answer.ids[:index]
        adjusted = {e.id: e.logprob - penalty * times(before.count(e.id)) for e in entry}
        best = max(adjusted.values())
        expect(
            adjusted[token] >= best - 0.01,
            f"{field}={penalty} at output index {index}: id {token} has {adjusted[token]:.3f} "
            f"after the penalty, another has {best:.3f}",
        )
