"""openvino-genai's ContinuousBatchingPipeline as a Generator."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from enginebay_core.api import EngineStats, GenerationRequest, GenerationStep, Limits
from enginebay_openvino.loop import PipelineLoop
from enginebay_openvino.mailbox import Mailbox
from enginebay_openvino.sampling import generation_config


class OpenVinoGenerator:
    """Owns the pipeline from here on."""

    def __init__(self, pipeline: Any, limits: Limits) -> None:
        self._limits = limits
        self._loop = PipelineLoop(pipeline)

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def steps(self) -> int:
        """Steps of the pipeline that ended since the start."""
        return self._loop.steps

    @property
    def stats(self) -> EngineStats:
        """The pipeline does not tell who waits, and prompts share nothing."""
        running, used = self._loop.running, self._loop.kv_used
        return EngineStats(running=running, kv_used=used if running else 0.0)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[GenerationStep, None]:
        mailbox = Mailbox()
        ticket = self._loop.submit(request, generation_config(request), mailbox)
        try:
            finish = None
            while finish is None:
                step = await mailbox.next()
                finish = step.finish
                yield step
        finally:
            self._loop.cancel(ticket)

    def close(self) -> None:
        """Blocks until the step in flight is done. Safe to call twice."""
        self._loop.close()
