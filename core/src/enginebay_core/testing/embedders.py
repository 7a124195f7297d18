"""What EngineBay expects of a backend that makes vectors, as tests that anyone can run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from enginebay_core.api import (
    Backend,
    ContextLengthExceeded,
    EngineBayError,
    EngineClosed,
    JsonValue,
    RequestError,
)
from enginebay_core.config import ModelConfig, parse_options
from enginebay_core.engine import Embeddings, InlineEmbeddings
from enginebay_core.placement import Placement, open_model
from enginebay_core.placement.loading import load_engine
from enginebay_core.plugins import load_backend, resolve_model
from enginebay_core.testing.expect import expect
from enginebay_core.testing.subject import ignore_progress

Vector = npt.NDArray[np.float32]
ResultT = TypeVar("ResultT")

LENGTHS = (1, 9, 3, 24, 2, 15, 3, 8)
"""Of the inputs of one request: in no order, some alike."""


class EmbedderContract:
    """Subclass it as ``BackendContract``::

        class TestMine(EmbedderContract):
            backend = "mine"
            model = "/models/of-mine"

    ``oracle`` says what one input's vector has to be, worked out in another way: the last hidden
    states, pooled by hand. ``tolerance`` bounds the difference of two vectors of length 1, in every
    component: rounding, which grows with the dtype. ``tokenizer`` is loaded where the backend runs
    in a process, and never asked: a model without one is tested with ``"bytes"``.
    """

    __test__ = False
    backend: ClassVar[str]
    model: ClassVar[str]
    options: ClassVar[Mapping[str, JsonValue]] = {}
    tokenizer: ClassVar[str | None] = None
    placement: ClassVar[Placement] = "inline"
    tolerance: ClassVar[float] = 1e-4
    timeout: ClassVar[float] = 120.0

    _opened: ClassVar[Embeddings | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__test__ = vars(cls).get("__test__", True)
        cls._opened = None

    @classmethod
    def make_backend(cls) -> Backend[Any]:
        return load_backend(cls.backend)

    @classmethod
    def oracle(cls, ids: Sequence[int]) -> Vector | None:
        """None: there is none, and its check is skipped."""
        del ids
        return None

    @classmethod
    def open(cls) -> Embeddings:
        if cls.placement == "process":
            options = dict(cls.options)
            config = ModelConfig(
                backend=cls.backend,
                model=cls.model,
                options=options,
                tokenizer=cls.tokenizer,
                placement="process",
            )
            made: object = open_model("contract", config, ignore_progress).embeddings
        else:
            backend = cls.make_backend()
            checked = parse_options(backend, cls.options, "options")
            directory: Path = resolve_model(cls.model, ignore_progress)
            engine: Any = load_engine(cls.backend, backend, directory, checked, ignore_progress)
            made = InlineEmbeddings(engine, cls.backend)
        assert isinstance(made, Embeddings), f"backend {cls.backend!r} made no embedder"
        return made

    @pytest.fixture
    def embeddings(self) -> Embeddings:
        """Loaded once per class."""
        cls = type(self)
        if cls._opened is None:
            cls._opened = cls.open()
        return cls._opened

    @classmethod
    def teardown_class(cls) -> None:
        if cls._opened is not None:
            cls._opened.close()
            cls._opened = None

    def test_every_input_has_a_vector(self, embeddings: Embeddings) -> None:
        """One for each, of the dimensions that the spec says, of finite numbers, not all 0."""
        vectors = self._ask(embeddings, inputs(embeddings))
        expect(len(vectors) == len(LENGTHS), f"{len(vectors)} vectors of {len(LENGTHS)} inputs")
        for index, vector in enumerate(vectors):
            size = embeddings.spec.dimensions
            expect(vector.shape == (size,), f"input {index}: shape {vector.shape}, not ({size},)")
            expect(bool(np.isfinite(vector).all()), f"input {index}: NaN or infinite")
            expect(bool(vector.any()), f"input {index}: nothing but zeros")

    def test_vectors_are_the_oracles(self, embeddings: Embeddings) -> None:
        """A failure usually means the wrong pooling, a lost id, or hidden states before the last
        norm.
        """
        asked = inputs(embeddings)
        if self.oracle(asked[0]) is None:
            pytest.skip("the class has no oracle")
        for ids, vector in zip(asked, self._ask(embeddings, asked), strict=True):
            known = self.oracle(ids)
            assert known is not None
            self._expect_same(vector, known, f"an input of {len(ids)} ids, against the oracle")

    def test_neighbours_do_not_matter(self, embeddings: Embeddings) -> None:
        """Alone, among longer and shorter ones, and in another order: the same vector.

        A failure usually means that padding is attended to, or counted in the mean; or that
        vectors come in another order than their inputs.
        """
        asked = inputs(embeddings)
        together = self._ask(embeddings, asked)
        backwards = self._ask(embeddings, asked[::-1])[::-1]
        for ids, one, other in zip(asked, together, backwards, strict=True):
            [alone] = self._ask(embeddings, [ids])
            self._expect_same(one, alone, f"{len(ids)} ids, in company and alone")
            self._expect_same(other, alone, f"{len(ids)} ids, in company backwards and alone")

    def test_every_id_counts(self, embeddings: Embeddings) -> None:
        """Another first, middle or last id makes another vector."""
        ids = inputs(embeddings)[3]
        places = (0, len(ids) // 2, len(ids) - 1)
        changed = [(*ids[:at], ids[at] ^ 1, *ids[at + 1 :]) for at in places]
        own, *others = self._ask(embeddings, [ids, *changed])
        for at, other in zip(places, others, strict=True):
            gap = difference(own, other)
            expect(gap > self.tolerance, f"id {at} of {len(ids)} changed, and the vector did not")

    def test_requests_at_the_same_time_get_their_own(self, embeddings: Embeddings) -> None:
        asked = inputs(embeddings)
        alone = self._ask(embeddings, asked)

        async def all_at_once() -> list[list[Vector]]:
            return list(await asyncio.gather(*(embeddings.embed([ids]) for ids in asked)))

        for ids, [got], one in zip(asked, self._run(all_at_once()), alone, strict=True):
            self._expect_same(got, one, f"a request of {len(ids)} ids beside others")

    def test_the_longest_input_fits_and_no_longer_one(self, embeddings: Embeddings) -> None:
        """``max_length`` ids are embedded; with one more nothing is begun."""
        longest = embeddings.spec.max_length
        [vector] = self._ask(embeddings, [tuple(make_ids(longest, embeddings))])
        expect(bool(np.isfinite(vector).all()), f"{longest} ids: NaN or infinite")
        with pytest.raises(ContextLengthExceeded, match=str(longest + 1)):
            self._ask(embeddings, [(1,), tuple(make_ids(longest + 1, embeddings))])

    def test_ids_that_are_none_are_refused(self, embeddings: Embeddings) -> None:
        for wrong in ((), (embeddings.spec.vocab_size,), (-1,)):
            with pytest.raises(RequestError):
                self._ask(embeddings, [wrong])

    def test_who_leaves_costs_nobody_else(self, embeddings: Embeddings) -> None:
        asked = inputs(embeddings)
        expected = self._ask(embeddings, asked)

        async def leave() -> list[Vector]:
            leaving = [asyncio.create_task(embeddings.embed(asked)) for _ in range(4)]
            staying = asyncio.create_task(embeddings.embed(asked))
            await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            return await staying

        for got, one in zip(self._run(leave()), expected, strict=True):
            self._expect_same(got, one, "beside requests that were cancelled")

    def test_closing_ends_what_waits(self) -> None:
        """With EngineClosed, and so does asking afterwards. Closing twice is safe."""
        opened = type(self).open()

        async def ask() -> list[Vector]:
            return await opened.embed(inputs(opened))

        async def close_meanwhile() -> object:
            waiting = asyncio.create_task(ask())
            await asyncio.sleep(0)
            await asyncio.to_thread(opened.close)
            [outcome] = await asyncio.gather(waiting, return_exceptions=True)
            return outcome

        outcome = self._run(close_meanwhile())
        ended = isinstance(outcome, EngineClosed | list)
        expect(ended, f"what was under way ended with {outcome!r}")
        opened.close()
        with pytest.raises(EngineBayError):
            self._run(ask())

    def _ask(self, embeddings: Embeddings, asked: Sequence[tuple[int, ...]]) -> list[Vector]:
        return self._run(embeddings.embed(asked))

    def _run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return asyncio.run(asyncio.wait_for(work, self.timeout))

    def _expect_same(self, got: Vector, known: Vector, what: str) -> None:
        gap = difference(got, known)
        expect(
            gap <= self.tolerance,
            f"{what}: vectors differ by {gap:.3g}, at most {self.tolerance:.3g} is rounding",
        )


def inputs(embeddings: Embeddings) -> list[tuple[int, ...]]:
    """Of the lengths above, no two alike; each shorter one begins as a longer one."""
    ids = make_ids(max(LENGTHS), embeddings)
    longest = embeddings.spec.max_length
    return [tuple(ids[: min(length, longest)]) for length in LENGTHS]


def make_ids(count: int, embeddings: Embeddings) -> list[int]:
    return [4 + 37 * place % (embeddings.spec.vocab_size - 5) for place in range(count)]


def difference(one: Vector, other: Vector) -> float:
    """The largest of a component, both scaled to length 1; NaN counts as infinite."""
    gap = np.abs(_scaled(one) - _scaled(other)).max()
    return float(gap) if np.isfinite(gap) else float("inf")


def _scaled(vector: Vector) -> npt.NDArray[np.float64]:
    wide = vector.astype(np.float64)
    return wide / (np.linalg.norm(wide) or 1.0)
