"""Names to models, while they load, run or have failed."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from enginebay_core.api import EngineBayError, EngineClosed, ModelNotFound
from enginebay_core.config import ModelConfig
from enginebay_core.placement import RunningModel, open_model
from enginebay_server.errors import Draining, ModelFailed, ModelLoading, quote
from enginebay_server.fingerprint import Fingerprint, fingerprint_of
from enginebay_server.parsers import Dialect, choose_dialect

PROGRESS_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


class State(StrEnum):
    """LOADING becomes READY or FAILED. READY becomes RESTARTING when the process of its backend
    ends, and after that READY again or FAILED, which it stays. Without a process of its own an
    engine that breaks is FAILED at once.
    """

    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"


@dataclass
class ModelEntry:
    """``loaded`` is how loading ended. ``reason``, why it failed, is the operator's: it may name
    paths. ``stage`` is what loading is at. ``abandoned``: nobody waits for it any more.
    ``running``, ``dialect`` and ``fingerprint`` are there once it is loaded.
    """

    name: str
    config: ModelConfig
    created: int = field(default_factory=lambda: int(time.time()))
    loaded: State = State.LOADING
    stage: str = "waiting"
    reason: str | None = None
    running: RunningModel | None = None
    dialect: Dialect = field(default_factory=Dialect)
    fingerprint: Fingerprint | None = None
    logged: str = ""
    logged_at: float = 0.0
    abandoned: bool = False

    @property
    def state(self) -> State:
        if self.loaded is State.READY and self.running is not None:
            return State(self.running.condition().state)
        return self.loaded

    @property
    def trouble(self) -> str | None:
        """Why a model that was ready is not, in words for everyone."""
        return self.running.condition().reason if self.running is not None else None

    def progress(self, stage: str, done: int = 0, total: int = 0) -> None:
        """Called by the loading thread; logs what is new, at most every other second. Raises
        EngineClosed to end a load that nobody waits for.
        """
        if self.abandoned:
            raise EngineClosed("the server stopped while the model was loading")
        self.stage = f"{stage} ({100 * done // total} %)" if total else stage
        if self.stage != self.logged and time.monotonic() - self.logged_at >= PROGRESS_SECONDS:
            self.logged, self.logged_at = self.stage, time.monotonic()
            log.info("%s: %s", self.name, self.stage)


class ModelTable:
    """Each model loads in a thread of its own, so one that hangs or fails holds up no other."""

    def __init__(
        self, configs: Mapping[str, ModelConfig], loaded: Callable[[], None] = lambda: None
    ) -> None:
        """``loaded`` is called each time a model is ready, by the thread that loaded it."""
        self._loaded = loaded
        self.entries = {name: ModelEntry(name, config) for name, config in configs.items()}
        self._by_alias = {
            alias: entry for entry in self.entries.values() for alias in entry.config.aliases
        }
        self._closing = False
        self._closed = False

    async def load(self) -> None:
        """Returns when every model is ready or has failed; raises nothing."""
        entries = self.entries.values()
        await asyncio.gather(*(self._load(entry) for entry in entries))
        if all(entry.loaded is State.FAILED for entry in entries) and not self._closing:
            log.error(
                "no model could be loaded: stop the server, mend the reasons above, try again"
            )

    def entry(self, name: str) -> ModelEntry:
        """By name or alias. Raises ModelNotFound, which lists what there is."""
        found = self.entries.get(name) or self._by_alias.get(name)
        if found is None:
            known = ", ".join(repr(known) for known in [*self.entries, *self._by_alias])
            raise ModelNotFound(
                f"No model {quote(name)} is configured here; there is {known}.", param="model"
            )
        return found

    def running(self, name: str) -> RunningModel:
        """Raises ModelNotFound, ModelLoading, ModelFailed or Draining."""
        entry = self.entry(name)
        if self._closing:
            raise Draining("The server is shutting down.", retry_after=5)
        if entry.state is State.FAILED:
            why = "failed to load; the server's log has the reason"
            if entry.trouble is not None:
                why = f"has failed: {entry.trouble}"
            raise ModelFailed(f"Model {entry.name!r} {why}.")
        if entry.running is None:
            raise ModelLoading(
                f"Model {entry.name!r} is still loading; try again in a moment.", retry_after=2
            )
        return entry.running

    def dialect(self, name: str) -> Dialect:
        """How the model of that name or alias answers, once it runs."""
        return self.entry(name).dialect

    def fingerprint(self, name: str) -> str | None:
        """``system_fingerprint`` of the model of that name or alias, once it runs."""
        fingerprint = self.entry(name).fingerprint
        return fingerprint.name if fingerprint else None

    @property
    def healthy(self) -> bool:
        """Whether something can serve and every required model can."""
        entries = self.entries.values()
        ready = [entry for entry in entries if entry.state is State.READY]
        required = [entry for entry in entries if entry.config.required]
        return not self._closing and bool(ready) and all(entry in ready for entry in required)

    def refuse_new(self) -> None:
        """From now on nothing new begins; what runs goes on."""
        self._closing = True

    def close(self) -> None:
        """End what still runs with EngineClosed and free all models, side by side. Blocks, though
        never for long: an engine that hangs is left behind. Safe to repeat.
        """
        self._closing = True
        if self._closed:
            return
        self._closed = True
        for entry in self.entries.values():
            entry.abandoned = True
        running = [entry.running for entry in self.entries.values() if entry.running is not None]
        closing = [threading.Thread(target=model.close, daemon=True) for model in running]
        for thread in closing:
            thread.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in closing:
            thread.join(max(0.0, deadline - time.monotonic()))

    async def _load(self, entry: ModelEntry) -> None:
        """A daemon thread: one that hangs must not keep the process from ending."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def work() -> None:
            self._open(entry)
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=work, name=f"load-{entry.name}", daemon=True).start()
        await done.wait()

    def _open(self, entry: ModelEntry) -> None:
        started = time.monotonic()
        try:
            running = open_model(entry.name, entry.config, entry.progress)
            entry.dialect = _dialect(running, entry.config)
        except BaseException as error:  # whatever a plugin raises fails its own model only
            entry.reason = str(error) or type(error).__name__
            entry.loaded = State.FAILED
            foreseen = isinstance(error, EngineBayError)
            level = logging.INFO if entry.abandoned else logging.ERROR
            text = "%s failed to load: %s"
            log.log(level, text, entry.name, entry.reason, exc_info=not foreseen)
            return
        entry.fingerprint = fingerprint_of(running)
        entry.running = running
        self._loaded()
        entry.loaded = State.READY
        if self._closing:
            running.close()
        log.info("%s is ready after %.1f s", entry.name, time.monotonic() - started)


def _dialect(running: RunningModel, config: ModelConfig) -> Dialect:
    """Closes the model when the config asks for what it has not."""
    try:
        return choose_dialect(running.tokenizer, config)
    except BaseException:
        running.close()
        raise
