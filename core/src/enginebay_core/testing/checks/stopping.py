"""How a text ends: limits, stop ids, stop strings, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator

from enginebay_core.api import FinishReason, GenerationRequest
from enginebay_core.testing.bench import Answer, Bench
from enginebay_core.testing.expect import expect, expect_ids
from enginebay_core.testing.marks import proves
from enginebay_core.testing.material import witness_prompts
from enginebay_core.text import open_streamer


class Stopping:
    @proves("max_tokens")
    def test_max_tokens_is_exact(self, bench: Bench) -> None:
        """Exactly max_tokens ids come when nothing stops the text, and ``finish`` is "length".

        A failure usually means that the first id, made by prefill, is counted twice or not at
        all, or that the finish reason is always "stop". Repair: count ids handed out; "length"
        is for max_tokens, "stop" for stop ids alone.
        """
        (prompt,) = witness_prompts(bench, 1)
        whole = bench.lone(bench.ask(prompt))
        for limit in (1, 2, 17):
            answer = bench.run(bench.answer(bench.ask(prompt, limit)))
            expect_ids(answer.ids, whole.ids[:limit], f"max_tokens={limit}")
            finish(answer, FinishReason.LENGTH, f"max_tokens={limit}")

    def test_a_stop_id_ends_the_text_unseen(self, bench: Bench) -> None:
        """A stop id ends the text where it would have come, with "stop"; it is not in the output,
        so it is not in the usage.

        A failure usually means that the stop id is handed out, or counted, before it is looked
        at. Repair: the last step is empty, or ends with the id before it.
        """
        for prompt in witness_prompts(bench, 4):
            whole = bench.lone(bench.ask(prompt)).ids
            place = first_new(whole, 3)
            request = bench.ask(prompt, stop_ids=frozenset({whole[place]}))
            answer = bench.run(bench.answer(request))
            expect_ids(answer.ids, whole[:place], f"stop id {whole[place]} at index {place}")
            finish(answer, FinishReason.STOP, "a stop id")

    def test_a_text_may_end_before_it_begins(self, bench: Bench) -> None:
        """When the very first id is a stop id, the answer is empty and ends with "stop".

        A failure usually means that prefill's id skips the check of stop ids. Repair: look at
        every sampled id, the first one too.
        """
        (prompt,) = witness_prompts(bench, 1)
        first = bench.lone(bench.ask(prompt)).ids[0]
        answer = bench.run(bench.answer(bench.ask(prompt, stop_ids=frozenset({first}))))
        expect_ids(answer.ids, [], f"stop id {first} comes first")
        finish(answer, FinishReason.STOP, "a stop id that comes first")

    @proves("min_tokens")
    def test_min_tokens_keeps_stop_ids_away(self, bench: Bench) -> None:
        """Before min_tokens a stop id cannot be chosen; from then on it can.

        A failure usually means that the text is merely not ended: the stop id is in the output.
        Repair: ban the stop ids in sampling for the first min_tokens ids.
        """
        (prompt,) = witness_prompts(bench, 1)
        free = bench.lone(bench.ask(prompt)).ids
        stop = frozenset({free[0], free[1]})
        for least in (1, 6):
            request = bench.ask(prompt, 12, stop_ids=stop, min_tokens=least)
            answer = bench.run(bench.answer(request))
            expect(len(answer.ids) >= least, f"min_tokens={least}, {len(answer.ids)} ids came")
            seen = stop & set(answer.ids)
            expect(not seen, f"min_tokens={least}: stop ids {sorted(seen)!r} are in the output")
        whole = bench.run(bench.answer(bench.ask(prompt, 6, stop_ids=stop, min_tokens=6)))
        expect(len(whole.ids) == 6, "min_tokens=6 and max_tokens=6 give 6 ids")
        finish(whole, FinishReason.LENGTH, "min_tokens = max_tokens")

    @proves("ignore_eos")
    def test_without_stop_ids_the_text_runs_on(self, bench: Bench) -> None:
        """With no stop ids nothing ends a text before max_tokens, the model's own end included.

        A failure usually means an engine that stops at the checkpoint's eos by itself. Repair:
        switch that off; the server sends the stop ids that count.
        """
        for request in running_on(bench):
            answer = bench.run(bench.answer(request))
            count = len(answer.ids)
            expect(count == request.max_tokens, f"{count} of {request.max_tokens} ids came")
            finish(answer, FinishReason.LENGTH, "no stop ids")

    @proves("stop")
    def test_stop_strings_cut_exactly(self, bench: Bench) -> None:
        """A stop string ends the text just before it, wherever the borders between tokens lie,
        and no id after the one that completes it is counted. Without one, every id is, once.

        A failure usually means ids that come in other portions than their order, or a ``decode``
        that depends on what follows. Repair: run test_characters_split_over_tokens_stay_whole
        first.
        """
        tried = 0
        for prompt in witness_prompts(bench, 4):
            request = bench.ask(prompt)
            ids = bench.lone(request).ids
            text = bench.tokenizer.decode(ids)
            _, settled, _ = bench.run(stream(bench, request, None))
            expect_ids(settled, ids, "usage, without a stop string")
            for stop in stop_strings(bench, ids, text):
                shown, settled, matched = bench.run(stream(bench, request, stop))
                expect(matched == stop, f"the stop string {stop!r} in {text!r} did not stop")
                expect(shown == text[: text.find(stop)], f"{stop!r} in {text!r} left {shown!r}")
                expect_ids(settled, ids[: completed(bench, ids, stop)], f"usage, stop {stop!r}")
                tried += 1
        if not tried:
            bench.skip("this model's greedy text has no two characters to stop at")


def finish(answer: Answer, expected: FinishReason, what: str) -> None:
    __tracebackhide__ = True
    said = answer.finish
    expect(said == expected, f"{what}: finish is {said!r}, expected {expected.value!r}")


def first_new(ids: tuple[int, ...], least: int) -> int:
    """The first index from ``least`` on whose id has not come before."""
    places = (i for i in range(least, len(ids)) if ids[i] not in ids[:i])
    return next(places, ids.index(ids[-1]))


def running_on(bench: Bench) -> Iterator[GenerationRequest]:
    """Requests that meet the model's own end, forced by a bias where that is claimed."""
    for prompt in witness_prompts(bench, 4):
        yield bench.ask(prompt, 64)
    ends = bench.subject.stop_ids
    if ends and bench.claims("logit_bias"):
        (prompt,) = witness_prompts(bench, 1)
        sampling = bench.greedy(logit_bias=dict.fromkeys(ends, 100.0))
        yield bench.ask(prompt, 8, sampling=sampling)


def stop_strings(bench: Bench, ids: tuple[int, ...], text: str) -> list[str]:
    """Parts of the text: inside a token, over one border between tokens, over several."""
    half = len(bench.tokenizer.decode(ids[: len(ids) // 2]))
    parts = (text[half - 1 : half + 1], text[half : half + 1], text[half - 3 : half + 6])
    return [part for part in dict.fromkeys(parts) if part and "\ufffd" not in part]


def completed(bench: Bench, ids: tuple[int, ...], stop: str) -> int:
    """How many ids it takes until the stop string is complete."""
    lengths = range(1, len(ids) + 1)
    return next(n for n in lengths if stop in bench.tokenizer.decode(ids[:n]))


async def stream(
    bench: Bench, request: GenerationRequest, stop: str | None
) -> tuple[str, list[int], str | None]:
    """Text, settled ids and the stop string that matched, as the server would have them."""
    streamer = open_streamer(bench.tokenizer, (stop,) if stop else ())
    pieces = []
    async with bench.open(request) as steps:
        async for step in steps:
            pieces.append(streamer.push(step.ids))
            if pieces[-1].stopped is not None:
                break
    pieces.append(streamer.flush())
    settled = [token for piece in pieces for token in piece.ids]
    stopped = next((piece.stopped for piece in pieces if piece.stopped), None)
    return "".join(piece.text for piece in pieces), settled, stopped
