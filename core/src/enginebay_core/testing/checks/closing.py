"""The end: running requests learn of it, and nothing stays behind."""

from __future__ import annotations

import asyncio

from enginebay_core.api import EngineClosed
from enginebay_core.testing.bench import Answer, Bench
from enginebay_core.testing.expect import expect
from enginebay_core.testing.material import random_ids
from enginebay_core.testing.traces import left_since


class Closing:
    """pytest runs these last: they close the engine, and load it again where they must."""

    def test_closing_ends_running_requests(self, bench: Bench) -> None:
        """``close`` ends every running request with EngineClosed, promptly; so does a request
        that comes later.

        A failure usually means readers that wait for ever for an engine that is gone. Repair: in
        ``close``, put EngineClosed into every reader's queue before freeing anything.
        """
        for outcome in bench.run(_close_amid_requests(bench)):
            complete = isinstance(outcome, Answer)  # it ended before it could be closed
            closed = complete or isinstance(outcome, EngineClosed)
            expect(closed, f"expected EngineClosed, got {outcome!r}")
        (later,) = bench.run(bench.outcomes([bench.ask(random_ids(bench, 5, 600), 2)]))
        expect(
            isinstance(later, EngineClosed), f"after close, expected EngineClosed, got {later!r}"
        )
        bench.stop()

    def test_closing_leaves_nothing_behind(self, bench: Bench) -> None:
        """After ``close`` there is no thread, child process, open file or task that was not there
        before loading.

        A failure usually means a worker thread that is not joined, or a file kept open. Repair:
        join threads, end children and close files in ``close``. What libraries make once per
        process is told from a leak by loading again: only what is left each time counts.
        """
        tasks = bench.tasks()
        bench.close()
        expect(not tasks, f"tasks are left on the event loop: {', '.join(tasks)}")
        left = left_since(bench.before)
        if left:
            again = bench.reopened()
            again.run(again.answer(again.ask(random_ids(again, 4), 4)))
            again.close()
            grown = left_since(again.before)
            expect(not grown, f"left after close, each time: {', '.join(grown)}")
            bench.note(f"made once per process and kept: {', '.join(left)}")


async def _close_amid_requests(bench: Bench) -> list[object]:
    prompts = [random_ids(bench, 5, 600 + i) for i in range(4)]
    begun = asyncio.Event()
    running = [
        asyncio.create_task(bench.answer(bench.ask(prompt, 100_000), begun.set))
        for prompt in prompts
    ]
    await begun.wait()
    await asyncio.to_thread(bench.stop)
    return list(await asyncio.gather(*running, return_exceptions=True))
