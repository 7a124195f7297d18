"""Grammars to matchers: compiled on threads of their own, with a deadline, and kept for a while."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from enginebay_core.api import (
    EngineBayError,
    EngineClosed,
    EngineError,
    GenerationRequest,
    Overloaded,
    RequestError,
    Rule,
)
from enginebay_core.grammar.guidance import Guidance
from enginebay_core.grammar.limits import GrammarLimits
from enginebay_core.grammar.matcher import Matcher
from enginebay_core.grammar.schema import json_rules
from enginebay_core.grammar.trial import Trial
from enginebay_core.grammar.vocabulary import Vocabulary

if TYPE_CHECKING:
    from llguidance import LLMatcher

    Compiled: TypeAlias = LLMatcher | EngineBayError

Outcome: TypeAlias = Matcher | EngineBayError
Key: TypeAlias = tuple[Rule, bool]

WORKERS: Final = 2
MOST_WAITING: Final = 32
"""Different grammars on their way at once; one more is refused as Overloaded."""

CLOSED: Final = "the engine was closed before this request was done"

log = logging.getLogger(__name__)


class GrammarCompiler:
    """Of one model. Equal grammars are compiled once, also when they come together, and each
    sequence gets a state of its own.

    ``ask`` is called on a worker when the first grammar comes: it returns the vocabulary, or None
    when ``learn`` will be called with it.
    """

    def __init__(self, ask: Callable[[], Vocabulary | None], limits: GrammarLimits) -> None:
        self._ask = ask
        self._limits = limits
        self._guidance: Guidance | None = None
        self._asked = False
        self._cache: OrderedDict[Key, LLMatcher] = OrderedDict()
        self._waiters: dict[Key, list[Callable[[Compiled], None]]] = {}
        self._lock = threading.RLock()
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="grammar")
        self._trials: list[Trial] = []
        self._idle: list[Trial] = []
        self._closed = False

    def open(self, request: GenerationRequest, done: Callable[[Outcome], None]) -> None:
        """From any thread. Calls ``done`` once, here or on a thread of its own, with the matcher
        for the request's grammar or with why there is none.
        """
        assert request.grammar is not None
        key = (request.grammar.rule, request.grammar.thinking is not None)
        waiter = partial(self._hand_out, request, done)
        with self._lock:
            compiled = self._at_once(key)
            if compiled is None:
                if key not in self._waiters:
                    self._waiters[key] = []
                    self._begin(key)
                self._waiters[key].append(waiter)
        if compiled is not None:
            waiter(compiled)

    def learn(self, vocabulary: Vocabulary) -> None:
        """From any thread: what ``ask`` promised."""
        with self._lock:
            if not self._closed:
                self._workers.submit(self._learn, lambda: vocabulary)

    def close(self) -> None:
        """Those who wait get EngineClosed."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._closed = True
            for trial in self._trials:
                trial.kill()
            for trial in self._idle:
                trial.close()
        for key in list(self._waiters):
            self._finish(key, EngineClosed(CLOSED))

    def _begin(self, key: Key) -> None:
        if self._guidance is not None:
            self._start(key, self._guidance)
        elif not self._asked:
            self._asked = True
            self._workers.submit(self._learn, self._ask)

    def _learn(self, ask: Callable[[], Vocabulary | None]) -> None:
        try:
            vocabulary = ask()
            if vocabulary is None:
                return
            guidance = Guidance(vocabulary)
        except Exception:  # another's tokenizer may raise anything
            log.exception("the vocabulary cannot be made into masks")
            self._give_up()
            return
        with self._lock:
            if self._closed:
                return
            self._guidance = guidance
            self._trials = [Trial(vocabulary, self._limits.seconds) for _ in range(WORKERS)]
            self._idle += self._trials
            for key in self._waiters:
                self._start(key, guidance)

    def _give_up(self) -> None:
        with self._lock:
            self._asked = False
            waiting = list(self._waiters)
        for key in waiting:
            message = "grammars fail for this model; the server's log has the reason"
            self._finish(key, EngineError(message))

    def _start(self, key: Key, guidance: Guidance) -> None:
        self._workers.submit(self._compile, key, guidance)

    def _compile(self, key: Key, guidance: Guidance) -> None:
        rule, after_thinking = key
        compiled: Compiled
        with self._lock:
            trial = self._idle.pop()  # there are as many as workers
        try:
            trial.run(rule, after_thinking=after_thinking)
            compiled = guidance.compile(rule, after_thinking=after_thinking)
        except EngineBayError as error:
            compiled = error
        except Exception:  # the waiters must hear of it, whatever it is
            log.exception("a grammar cannot be compiled")
            compiled = EngineError("this grammar fails; the server's log has the reason")
        with self._lock:
            self._idle.append(trial)
            if self._closed:
                trial.close()
        self._finish(key, compiled)

    def _finish(self, key: Key, compiled: Compiled) -> None:
        with self._lock:
            waiters = self._waiters.pop(key, [])
            if not isinstance(compiled, EngineBayError):
                self._cache[key] = compiled
                while len(self._cache) > self._limits.cached:
                    self._cache.popitem(last=False)
        for waiter in waiters:
            waiter(compiled)

    def _at_once(self, key: Key) -> Compiled | None:
        """What there is to be told without compiling."""
        if self._closed:
            return EngineClosed(CLOSED)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        if key not in self._waiters and len(self._waiters) >= MOST_WAITING:
            return Overloaded(f"{MOST_WAITING} grammars are being compiled already")
        return None

    def _hand_out(
        self, request: GenerationRequest, done: Callable[[Outcome], None], compiled: Compiled
    ) -> None:
        if isinstance(compiled, EngineBayError):
            done(_own_copy(compiled))
            return
        grammar, guidance = request.grammar, self._guidance
        assert grammar is not None
        assert guidance is not None
        with self._lock:
            state = compiled.deep_copy()
        place = next((rule.place for rule in json_rules(grammar.rule)), "")
        done(Matcher(state, guidance.vocab_size, request.stop_ids, grammar.thinking, place))


def _own_copy(error: EngineBayError) -> EngineBayError:
    """Each reader gets an exception of its own: a shared one would grow its traceback."""
    if isinstance(error, RequestError):
        return type(error)(str(error), param=error.param, code=error.code)
    return type(error)(str(error))
