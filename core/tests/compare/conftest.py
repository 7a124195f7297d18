"""The backend ``skewed``: the toy's engine, off in the way that its options say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enginebay_core.compare import (
    Comparison,
    Named,
    Question,
    Thresholds,
    ask_text,
    compare,
)
from enginebay_core.config import ModelConfig
from enginebay_core.plugins import BACKENDS, TOKENIZERS

CODE = """
    from dataclasses import replace
    import numpy as np
    from enginebay_core.api import Capabilities, Conversation, Message, Prompt, step_capabilities
    from enginebay_core.text import ByteTokenizer
    from enginebay_core.toy import ToyBackend, ToyEngine, ToyOptions

    class Options(ToyOptions):
        noise: float = 0.0            # every logit is off by so much at most
        precision: str | None = None  # what it says that it computes in
        sharpness: float = 1.0        # what logits are multiplied by
        blind_after: int = 2048       # ids past which the first is not looked at, as by a lost rope
        ends_at: int | None = None    # length of a sequence at which it wants to end
        silent: bool = False          # tells no log probabilities
        endless: bool = True          # can be told to run past its end

    class Engine(ToyEngine):
        def forward(self, batch):
            logits = super().forward(batch) * np.float32(self.options.sharpness)
            lengths = [
                row.start + i + 1
                for row in batch.rows
                for i in range(len(row.ids))
                if row.logits == "all" or (row.logits == "last" and i == len(row.ids) - 1)
            ]
            draw = np.random.default_rng(sum(lengths))
            logits += draw.uniform(-1, 1, logits.shape).astype(np.float32) * np.float32(
                self.options.noise
            )
            for index, length in enumerate(lengths):
                if length == self.options.ends_at:
                    logits[index, 258] = 30.0
            return logits

        def _run(self, row):
            hashes = super()._run(row)
            late = row.start + len(row.ids) > self.options.blind_after
            return [h - np.uint64(self.kv[row.slot, 0]) for h in hashes] if late else hashes

    class Backend(ToyBackend):
        options = Options

        def load(self, model, options, progress):
            engine = Engine(max_sequences=options.max_sequences, max_length=options.max_length)
            if options.precision:
                facts = {"dtype": options.precision}
                engine.spec = replace(engine.spec, facts=facts)
            self.chosen = engine.options = options
            return engine

        def capabilities(self, engine):
            left_out = {"logprobs", "top_logprobs"} if self.chosen.silent else set()
            left_out |= set() if self.chosen.endless else {"ignore_eos"}
            known = step_capabilities().fields
            return Capabilities({k: v for k, v in known.items() if k not in left_out})

    class Shouting(ByteTokenizer):
        def render(self, conversation):
            loud = [replace(one, content=one.content.upper()) for one in conversation.messages]
            return super().render(replace(conversation, messages=tuple(loud)))

    def shouting(model):
        return Shouting()
"""
QUESTIONS = [*map(ask_text, ("Hello!", "How are you?", "你好", "Count from one to ten."))]

Compare = Callable[..., Comparison]


@pytest.fixture(autouse=True)
def skewed(install_plugin: Callable[..., Path], tmp_path: Path) -> None:
    install_plugin("eb_skewed", CODE, BACKENDS, skewed="eb_skewed:Backend")
    info = tmp_path / "site" / "eb_skewed-1.0.dist-info" / "entry_points.txt"
    lines = f"[{BACKENDS}]\nskewed = eb_skewed:Backend\n[{TOKENIZERS}]\n"
    info.write_text(f"{lines}shouting = eb_skewed:shouting\n")


def named(name: str, **options: Any) -> Named:
    said: dict[str, Any] = {"backend": "skewed", "model": "toy", "placement": "inline"}
    said |= {key: options.pop(key) for key in ("placement", "tokenizer", "model") if key in options}
    said["options"] = options
    return Named(name, ModelConfig.model_validate(said))


@pytest.fixture
def against() -> Compare:
    """``against(noise=0.1)``: the plain engine as A, one with these options as B."""

    def run(
        a: Named | None = None,
        questions: list[Question] = QUESTIONS,
        thresholds: Thresholds = Thresholds(),  # noqa: B008 - frozen
        **options: Any,
    ) -> Comparison:
        plain = a or named("A")
        return compare(plain, named("B", **options), questions, thresholds, ignore, max_tokens=24)

    return run


def ignore(stage: str, done: int = 0, total: int = 0) -> None:
    """Nobody watches."""
