"""The pipeline as a Generator, against core's scheduler over numpy."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from enginebay_core.api import (
    EngineClosed,
    EngineError,
    GenerationRequest,
    Generator,
    Grammar,
    Measured,
    Rule,
    SampleRow,
    SamplingParams,
    StepBatch,
    StepEngine,
    StepRow,
)
from enginebay_core.plugins import load_backend
from enginebay_core.text import hf_tokenizer
from enginebay_openvino import OpenVinoBackend, OpenVinoOptions, mailbox
from enginebay_openvino.grammar import schema

genai = pytest.importorskip(
    "openvino_genai", reason="OpenVINO GenAI is not installed: backends/openvino[runtime]"
)
from enginebay_openvino import loop  # noqa: E402 - needs the runtime
from enginebay_openvino.generator import OpenVinoGenerator  # noqa: E402 - needs the runtime

PROMPTS = [tuple(range(300 + 37 * i, 300 + 37 * i + 5 * n, n)) for i, n in enumerate((1, 3, 7, 9))]


def quiet(stage: str, done: int = 0, total: int = 0) -> None:
    pass


@contextmanager
def opened(model: Path, length: int) -> Iterator[OpenVinoGenerator]:
    options = OpenVinoOptions(threads=1, max_sequences=4, max_length=length)
    made = OpenVinoBackend().load(model, options, quiet)
    assert isinstance(made, OpenVinoGenerator)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def generator(pocket: Path) -> Iterator[Generator]:
    with opened(pocket, 512) as made:
        yield made


@pytest.fixture(scope="module")
def numpy_engine(pocket: Path) -> Iterator[StepEngine]:
    backend = load_backend("numpy")
    engine = backend.load(pocket, backend.options(), quiet)
    assert isinstance(engine, StepEngine)
    yield engine
    engine.close()


async def answer(generator: Generator, request: GenerationRequest) -> tuple[list[int], list[float]]:
    ids: list[int] = []
    logprobs: list[float] = []
    async with aclosing(generator.generate(request)) as steps:
        async for step in steps:
            ids += step.ids
            logprobs += [entry[0].logprob for entry in step.logprobs]
    return ids, logprobs


def expected(
    engine: StepEngine, prompt: tuple[int, ...], sampling: SamplingParams, count: int
) -> tuple[list[int], list[float]]:
    """By the reference sampler, id by id."""
    ids: list[int] = []
    logprobs: list[float] = []
    for _ in range(count):
        whole = (*prompt, *ids)
        logits = engine.forward(StepBatch((), (StepRow(0, 0, whole),)))
        (one,) = engine.sample(logits, [SampleRow(0, sampling, prompt, ids)])
        ids.append(one.id)
        assert one.logprob is not None
        logprobs.append(one.logprob)
    return ids, logprobs


RULES: list[dict[str, Any]] = [
    {},
    {"repetition_penalty": 2.0},
    {"repetition_penalty": 0.6},
]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_greedy_ids_and_logprobs_are_the_references(
    rule: dict[str, Any], generator: Generator, numpy_engine: StepEngine
) -> None:
    sampling = SamplingParams(temperature=0, seed=0, logprobs=0, **rule)
    for prompt in PROMPTS:
        ids, logprobs = asyncio.run(answer(generator, GenerationRequest(prompt, 16, sampling)))
        right, their_logprobs = expected(numpy_engine, prompt, sampling, 16)
        assert ids == right
        assert logprobs == pytest.approx(their_logprobs, abs=1e-3)


def test_logprobs_do_not_move_with_the_temperature(generator: Generator) -> None:
    told: dict[int, float] = {}
    for seed in range(40):
        sampling = SamplingParams(temperature=(1.0, 3.0)[seed % 2], seed=seed // 2, logprobs=0)
        (token,), (logprob,) = asyncio.run(
            answer(generator, GenerationRequest(PROMPTS[0], 1, sampling))
        )
        assert told.setdefault(token, logprob) == pytest.approx(logprob, abs=1e-3)
    assert len(told) < 40, "no id came twice, so nothing was compared"


def test_min_p_of_one_is_greedy(generator: Generator) -> None:
    best = SamplingParams(temperature=0, seed=0)
    sampling = SamplingParams(temperature=2.0, min_p=1.0, seed=3)
    texts = [
        asyncio.run(answer(generator, GenerationRequest(PROMPTS[1], 12, params)))[0]
        for params in (best, sampling)
    ]
    assert texts[0] == texts[1]


def test_steps_are_counted_while_nothing_is_told(generator: Generator) -> None:
    """A prompt longer than a step's ids takes several, of which the last alone brings an id."""
    before = generator.steps  # type: ignore[attr-defined]  # an ability beyond the protocol
    request = GenerationRequest(tuple(range(300, 700)), 1, SamplingParams(temperature=0, seed=0))
    asyncio.run(answer(generator, request))
    assert generator.steps - before >= 2  # type: ignore[attr-defined]


async def test_ids_are_handed_on_before_the_next_step(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox, "PATIENCE", 5.0)  # however busy the machine is
    request = GenerationRequest(PROMPTS[0], 400, SamplingParams(temperature=0, seed=0))
    steps = generator.steps  # type: ignore[attr-defined]
    late = 0
    async with aclosing(generator.generate(request)) as told:
        async for _ in told:
            steps += 1
            late += generator.steps > steps  # type: ignore[attr-defined]
    assert late == 0


async def test_it_tells_how_full_it_is(generator: Generator) -> None:
    request = GenerationRequest(PROMPTS[0], 400, SamplingParams(temperature=0, seed=0))
    async with aclosing(generator.generate(request)) as steps:
        for _ in range(3):
            await anext(steps)
        assert isinstance(generator, Measured)
        assert generator.stats.running == 1
        assert 0 < (generator.stats.kv_used or 0) < 1
    async with asyncio.timeout(5):
        while generator.stats.running:  # noqa: ASYNC110 - another thread's
            await asyncio.sleep(0.01)
    assert (generator.stats.kv_used, generator.stats.waiting) == (0, None)


async def test_a_model_without_a_stop_id_goes_on(
    pocket: Path, numpy_engine: StepEngine, tmp_path: Path
) -> None:
    model = shutil.copytree(pocket, tmp_path / "endless")
    for file in (model / "config.json", model / "generation_config.json"):
        said = json.loads(file.read_text())
        file.write_text(json.dumps({**said, "eos_token_id": None}))
    options = OpenVinoOptions(threads=1, max_sequences=1, max_length=64)
    endless = OpenVinoBackend().load(model, options, quiet)
    try:
        greedy = SamplingParams(temperature=0)
        for least in (0, 8):
            request = GenerationRequest(PROMPTS[0], 24, greedy, min_tokens=least)
            ids, _ = await answer(endless, request)
            logged = SamplingParams(temperature=0, logprobs=0)
            assert ids == expected(numpy_engine, PROMPTS[0], logged, 24)[0]
    finally:
        endless.close()


async def test_what_the_pipeline_raises_ends_what_runs_and_nothing_else(
    generator: Generator,
) -> None:
    request = GenerationRequest(PROMPTS[0], 400, SamplingParams(temperature=0, seed=0))
    async with aclosing(generator.generate(request)) as steps:
        await anext(steps)
        generator.close()
        with pytest.raises(EngineClosed, match="was closed before"):
            async for _ in steps:
                pass


async def test_a_pipeline_full_of_grammars_gives_way_to_another(
    pocket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs is let to the end, whoever comes meanwhile waits, and nobody notices."""
    monkeypatch.setattr(loop, "MOST_STATES", 2)
    free = GenerationRequest(PROMPTS[0], 40, SamplingParams(temperature=0), frozenset())
    values = [Rule("json", json.dumps({"const": number})) for number in range(6)]
    bound = [replace(free, max_tokens=8, grammar=Grammar(value)) for value in values]
    with opened(pocket, 256) as made:
        first = made._loop._pipeline
        alone = await answer(made, free)
        answers = await asyncio.gather(
            answer(made, free), *(answer(made, request) for request in bound), answer(made, free)
        )
        assert made._loop._pipeline is not first
    assert answers[0] == answers[-1] == alone
    tokenizer = hf_tokenizer.load(pocket)
    assert [tokenizer.decode(ids) for ids, _ in answers[1:-1]] == list("012345")


@pytest.mark.parametrize("kept", [False, True])
async def test_where_no_other_pipeline_can_be_made_the_next_request_tries_again(
    kept: bool, pocket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory may be short for a moment: whoever waited is told, and nobody else notices."""
    monkeypatch.setattr(loop, "MOST_STATES", 2)
    free = GenerationRequest(PROMPTS[0], 8, SamplingParams(temperature=0), frozenset())
    rules = [Rule("json", json.dumps({"const": number})) for number in range(6)]
    bound = [replace(free, grammar=Grammar(rule)) for rule in rules]
    with opened(pocket, 256) as made:
        asked = bound[0] if kept else free
        alone = await answer(made, asked)
        make, made._loop._make = made._loop._make, _no_memory
        failed = await asyncio.gather(*(answer(made, one) for one in bound), return_exceptions=True)
        assert any(isinstance(one, EngineError) for one in failed)
        made._loop._make = make
        assert await answer(made, asked) == alone


def _no_memory() -> NoReturn:
    raise MemoryError("as of a pipeline that finds no room")


class Broken:
    """A pipeline whose next step raises, as C++ does where memory is short."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self.steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    def step(self) -> NoReturn:
        self.steps += 1
        raise RuntimeError("as of a step that finds no memory")


async def test_a_step_that_fails_ends_what_ran_and_its_pipeline_alone(pocket: Path) -> None:
    free = GenerationRequest(PROMPTS[0], 8, SamplingParams(temperature=0), frozenset())
    bound = replace(free, grammar=Grammar(Rule("json", json.dumps({"const": 7}))))
    with opened(pocket, 256) as made:
        alone, kept = await answer(made, free), await answer(made, bound)
        made._loop._pipeline = broken = Broken(made._loop._pipeline)
        failed, waited = await asyncio.gather(
            answer(made, free),
            answer(made, replace(bound, grammar=Grammar(Rule("json", json.dumps({"const": 8}))))),
            return_exceptions=True,
        )
        assert isinstance(failed, EngineError)
        assert broken.steps == 1
        assert not isinstance(waited, BaseException)
        assert hf_tokenizer.load(pocket).decode(waited[0]) == "8"
        assert (await answer(made, free), await answer(made, bound)) == (alone, kept)


async def test_others_go_on_while_a_grammar_is_compiled(
    pocket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grammar that is larger than any that is let through takes seconds."""
    monkeypatch.setattr(schema, "MOST_STATES", 1e9)
    free = GenerationRequest(PROMPTS[0], 1900, SamplingParams(temperature=0), frozenset())
    words = [{"type": "string", "maxLength": 33 + number} for number in range(30)]
    rule = Rule("json", json.dumps({"type": "array", "prefixItems": words}))
    bound = replace(free, max_tokens=1, grammar=Grammar(rule))
    gaps: list[float] = []
    with opened(pocket, 2000) as made:
        async with aclosing(made.generate(free)) as steps:
            await anext(steps)
            before = time.perf_counter()
            waits = asyncio.create_task(answer(made, bound))
            while not waits.done():
                started = time.perf_counter()
                await anext(steps)
                gaps.append(time.perf_counter() - started)
            took = time.perf_counter() - before
    await waits
    assert took > 0.5
    assert max(gaps) < took / 4
