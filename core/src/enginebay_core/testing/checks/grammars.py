"""Outputs that follow a grammar: always valid, ended where they are complete, nobody else's."""

from __future__ import annotations

from dataclasses import replace

from enginebay_core.api import (
    FinishReason,
    GenerationRequest,
    Grammar,
    RequestError,
    Rule,
    SamplingParams,
    ThinkingSpan,
)
from enginebay_core.testing.bench import OUTPUT_LENGTH, Bench
from enginebay_core.testing.checks.stopping import finish, first_new
from enginebay_core.testing.equality import expect_most_same, expect_same_text
from enginebay_core.testing.expect import expect, expect_ids
from enginebay_core.testing.marks import needs, proves
from enginebay_core.testing.material import witness_prompts
from enginebay_core.testing.schemas import SCHEMAS, Schema, expect_call, expect_valid, json_rule

LONGEST = 192
"""Ids within which every value of the kit's schemas is complete, written a byte at a time."""

MOST = 4 * LONGEST
"""For two calls, of a model that likes blanks."""

PLACE = "response_format.json_schema.schema"
"""Where a schema of these checks says that it came from."""


class Grammars:
    @proves("response_format")
    def test_outputs_are_valid_under_their_schema(self, bench: Bench) -> None:
        """Whatever the sampling, the whole output is a JSON value that the schema allows, and it
        ends with "stop".

        A failure usually means that the mask is not applied, applied before the penalties or the
        bias, or a step late; or that a stop id may come before the value is complete. Repair:
        ban what the mask bans just before temperature, in every step from the first on.
        """
        prompts = short_prompts(bench, 4)
        for schema in SCHEMAS:
            requests = [keeping(bench, prompt, schema, seed) for seed, prompt in enumerate(prompts)]
            for answer in bench.together(requests):
                expect_valid(bench, schema, answer)

    @proves("response_format")
    def test_a_complete_value_ends_without_a_stop_id(self, bench: Bench) -> None:
        """Without stop ids the sequence ends by itself where nothing can follow, with "stop"; one
        that max_tokens cuts off ends with "length".

        A failure usually means that only a stop id ends a text. Repair: look after each id whether
        the grammar can go on.
        """
        (prompt,) = short_prompts(bench, 1)
        schema = SCHEMAS[0]
        request = replace(keeping(bench, prompt, schema, 0), stop_ids=frozenset(), min_tokens=0)
        whole = bench.run(bench.answer(request))
        expect_valid(bench, schema, whole)
        cut = bench.run(bench.answer(replace(request, max_tokens=2)))
        expect_ids(cut.ids, whole.ids[:2], "cut off after two ids")
        finish(cut, FinishReason.LENGTH, "a value that is cut off")

    @proves("response_format")
    def test_grammars_are_nobody_elses(self, bench: Bench) -> None:
        """Requests with different schemas and without any, side by side: each keeps to its own,
        and what has none is as it is alone.

        A failure usually means one matcher, or one mask, for the whole batch. Repair: a state per
        sequence, a mask per row.
        """
        prompts = short_prompts(bench, 8)
        free = [bench.ask(prompt) for prompt in prompts[:4]]
        bench.ask_alone(free)
        bound = list(zip(prompts[4:], SCHEMAS, strict=False))
        requests = [keeping(bench, prompt, schema, 7) for prompt, schema in bound]
        answers = bench.together([*requests, *free])
        for (_, schema), answer in zip(bound, answers, strict=False):
            expect_valid(bench, schema, answer)
        what = "beside requests with grammars"
        pairs = zip(free, answers[len(requests) :], strict=True)
        expect_most_same([expect_same_text(bench, r, a, what) for r, a in pairs], what)

    @proves("tool_choice")
    def test_texts_json_and_control_tokens_in_their_places(self, bench: Bench) -> None:
        """A call as models write it: a control token, where the tokenizer has any, a text, a JSON
        value, a text, perhaps the same again.

        A failure usually means a control token that was spelled in letters, or a part that may
        come at any place. Repair: see ``Rule`` for what each kind is.
        """
        for seed, prompt in enumerate(short_prompts(bench, 4)):
            control = some_control(bench)
            request = keeping(bench, prompt, SCHEMAS[0], seed)
            rule = call_rule(control, json_rule(SCHEMAS[0], PLACE))
            room = min(MOST, bench.limits.context_length - len(prompt))
            twice = replace(request, max_tokens=room, grammar=Grammar(rule))
            answer = bench.run(bench.answer(twice))
            expect_call(bench, control, answer)

    @proves("response_format")
    def test_thinking_comes_before_the_grammar(self, bench: Bench) -> None:
        """Thinking that the prompt has opened runs as without a grammar up to its closing id; from
        there on the output follows the rule.

        A failure usually means a mask from the first id on, or one that never begins. Repair: the
        mask begins with the id after ``thinking.closing``.
        """
        for prompt in short_prompts(bench, 3):
            ids = bench.lone(bench.ask(prompt)).ids
            place = first_new(ids, 3)
            request = keeping(bench, prompt, SCHEMAS[0], 0, sampling=bench.greedy())
            thinking = ThinkingSpan(opening=ids[place], closing=ids[place], begun=True)
            grammar = Grammar(json_rule(SCHEMAS[0], PLACE), thinking)
            run = replace(request, max_tokens=LONGEST + place, grammar=grammar, min_tokens=0)
            answer = bench.run(bench.answer(run))
            expect_ids(answer.ids[: place + 1], ids[: place + 1], "thinking")
            expect_valid(bench, SCHEMAS[0], replace(answer, ids=answer.ids[place + 1 :]))

    @proves("response_format")
    @needs("min_tokens")
    def test_a_grammar_outlives_no_min_tokens(self, bench: Bench) -> None:
        """A value that is complete before min_tokens ends all the same.

        A failure usually means that nothing could be chosen: all ids were banned. Repair: what the
        grammar ends is ended, whatever min_tokens says.
        """
        (prompt,) = short_prompts(bench, 1)
        request = keeping(bench, prompt, SCHEMAS[1], 0)
        answer = bench.run(bench.answer(replace(request, min_tokens=LONGEST)))
        expect_valid(bench, SCHEMAS[1], answer)

    @proves("response_format")
    def test_what_is_no_schema_is_refused_by_its_place(self, bench: Bench) -> None:
        """RequestError with the rule's ``place`` in ``param``, and nobody else notices.

        A failure usually means that the library's own exception gets out, or an engine that found
        no grammar and generates without. Repair: turn what it raises into RequestError.
        """
        (prompt,) = witness_prompts(bench, 1)
        for schema in ('{"type": "nothing"}', '{"type": "object", "properties": []}'):
            request = bench.ask(prompt, grammar=Grammar(Rule("json", schema, place=PLACE)))
            try:
                bench.run(bench.answer(request))
            except RequestError as error:
                expect(error.param == PLACE, f"{schema} was blamed on {error.param!r}: {error}")
            else:
                raise AssertionError(f"{schema} was taken for a schema")


def short_prompts(bench: Bench, count: int) -> list[tuple[int, ...]]:
    """Which leave room for an answer and for thinking before it."""
    room = bench.limits.context_length - LONGEST - OUTPUT_LENGTH
    if room < 1:
        bench.skip(f"a context of {bench.limits.context_length} ids is too short for these texts")
    return [prompt[-room:] for prompt in witness_prompts(bench, count)]


def keeping(
    bench: Bench,
    prompt: tuple[int, ...],
    schema: Schema,
    seed: int,
    sampling: SamplingParams | None = None,
) -> GenerationRequest:
    """Seed 0 is greedy."""
    temperature = 1.2 if bench.claims("temperature") else 1.0
    drawn = SamplingParams(temperature, seed=seed if bench.claims("seed") else None)
    return bench.ask(
        prompt,
        LONGEST,
        sampling=sampling or (drawn if seed else bench.greedy()),
        stop_ids=bench.subject.stop_ids,
        grammar=Grammar(json_rule(schema, PLACE)),
    )


def some_control(bench: Bench) -> tuple[str, int] | None:
    """A control token that ends nothing, if the tokenizer has one."""
    items = bench.tokenizer.control.items()
    return min((item for item in items if item[1] not in bench.subject.stop_ids), default=None)


def call_rule(control: tuple[str, int] | None, value: Rule) -> Rule:
    """``TAG f(VALUE)``, once or twice with a line end between."""
    tag = Rule("control", control[0], control[1]) if control else Rule("text", "call")
    call = Rule("sequence", parts=(tag, Rule("text", " f("), value, Rule("text", ")")))
    again = Rule("sequence", parts=(Rule("text", "\n"), call))
    return Rule("sequence", parts=(call, Rule("choice", parts=(Rule("sequence"), again))))
