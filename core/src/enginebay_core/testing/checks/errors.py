"""Requests that cannot run: refused by name, before any work, disturbing nobody."""

from __future__ import annotations

from collections.abc import Iterator

from enginebay_core.api import (
    ContextLengthExceeded,
    EngineBayError,
    FinishReason,
    GenerationRequest,
    RequestError,
)
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.equality import expect_same_text
from enginebay_core.testing.expect import expect
from enginebay_core.testing.material import random_ids, witness_prompts

LONGEST_RUN = 2048


class Errors:
    def test_bad_requests_name_the_field(self, bench: Bench) -> None:
        """An empty prompt, ids outside the vocabulary, max_tokens of 0: RequestError, ``param``
        naming the field, before the engine does anything.

        A failure usually means that the engine finds out by itself, with an index error or worse.
        Repair: check the request at the head of ``generate``.
        """
        for request, field in bad_requests(bench):
            before = steps_taken(bench)
            error = refusal(bench, request, f"a bad {field}")
            expect(error.param == field, f"a bad {field} was blamed on {error.param!r}: {error}")
            expect(steps_taken(bench) == before, f"a bad {field} reached the engine")

    def test_one_id_too_many_is_refused(self, bench: Bench) -> None:
        """Prompt and max_tokens that together exceed the context by one: ContextLengthExceeded,
        before any work.

        A failure usually means that the limit is found while generating, or is another than the
        published one. Repair: compare ``len(prompt) + max_tokens`` with
        ``limits.context_length`` at the head of ``generate``.
        """
        limit = bench.limits.context_length
        for length, more in ((max(1, limit - 3), min(4, limit)), (limit + 1, 1)):
            prompt = tuple([random_ids(bench, 1)[0]] * length)
            request = GenerationRequest(prompt, more, bench.greedy())
            before = steps_taken(bench)
            error = refusal(bench, request, f"a prompt of {length} and {more} more of {limit}")
            kind = type(error).__name__
            expect(isinstance(error, ContextLengthExceeded), f"{kind} came: {error}")
            expect(steps_taken(bench) == before, "a request that is too long reached the engine")

    def test_the_context_can_be_filled(self, bench: Bench) -> None:
        """A request that fills the context to its last id gets all its ids.

        A failure usually means KV arrays one entry too short, or a limit that counts the last id
        twice. Repair: the last id sampled is never run, ``context_length`` entries are enough.
        """
        limit = bench.limits.context_length
        if limit > LONGEST_RUN:
            bench.skip(f"filling {limit} ids takes long; with max_length={LONGEST_RUN} it is run")
        wanted = min(4, limit - 1)
        request = bench.ask(random_ids(bench, limit - wanted, 500), wanted)
        answer = bench.run(bench.answer(request))
        expect(len(answer.ids) == wanted, f"{len(answer.ids)} of {wanted} ids came")
        expect(answer.finish == FinishReason.LENGTH, f"finish is {answer.finish!r}, not 'length'")

    def test_a_bad_request_disturbs_nobody(self, bench: Bench) -> None:
        """Requests that are refused while others run change nothing for those.

        A failure usually means that an error ends the engine's loop, and with it everybody.
        Repair: raise in the request's own ``generate``, before it is queued.
        """
        good = [bench.ask(prompt) for prompt in witness_prompts(bench, 4)]
        bad = [request for request, _ in bad_requests(bench)]
        answers = bench.run(bench.outcomes([good[0], *bad, *good[1:]]))
        for request, answer in zip(good, [answers[0], *answers[-3:]], strict=True):
            if isinstance(answer, BaseException):
                raise AssertionError(f"beside bad requests, a good one got {answer!r}")
            expect_same_text(bench, request, answer, "beside bad requests")


def bad_requests(bench: Bench) -> Iterator[tuple[GenerationRequest, str]]:
    """Each with the field at fault; no more than the backend claims."""
    greedy, vocab = bench.greedy(), bench.limits.vocab_size
    yield GenerationRequest((), 4, greedy), "prompt"
    yield GenerationRequest((1, vocab, 1), 4, greedy), "prompt"
    yield GenerationRequest((1, -1), 4, greedy), "prompt"
    yield GenerationRequest((1,), 0, greedy), "max_tokens"
    if bench.claims("min_tokens"):
        yield GenerationRequest((1,), 4, greedy, min_tokens=5), "min_tokens"
    if bench.claims("logit_bias"):
        biased = bench.greedy(logit_bias={vocab: 1.0})
        yield GenerationRequest((1,), 4, biased), "logit_bias"


def refusal(bench: Bench, request: GenerationRequest, what: str) -> RequestError:
    """The error that the request is refused with."""
    (outcome,) = bench.run(bench.outcomes([request]))
    if isinstance(outcome, RequestError):
        return outcome
    kind = "an EngineError" if isinstance(outcome, EngineBayError) else type(outcome).__name__
    raise AssertionError(f"{what}: expected a RequestError, got {kind}: {outcome}")


def steps_taken(bench: Bench) -> int:
    """Seen of step engines alone."""
    engine = bench.subject.engine
    return 0 if engine is None else len(engine.batches)
