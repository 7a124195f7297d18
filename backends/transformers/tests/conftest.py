"""Tiny random models of many architectures, what ``generate`` says of them, and a step driver."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from enginebay_core.api import KvOperation, StepBatch, StepEngine, StepRow
from enginebay_transformers import TransformersBackend, TransformersOptions

NEW_IDS = 32
PROMPTS = tuple(tuple(7 * i % 251 for i in range(1, length)) for length in (4, 12, 22))
"""Of 3, 11 and 21 ids: shorter and longer than the sliding windows of 8."""

SHAPE: dict[str, Any] = {
    "vocab_size": 256,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "tie_word_embeddings": False,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
WITHOUT_HEAD_DIM = {name: value for name, value in SHAPE.items() if name != "head_dim"}
MOE = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
SLIDING = {"sliding_window": 8}
ALTERNATING = {
    **SLIDING,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}
GPT2: dict[str, Any] = {
    "vocab_size": 256,
    "n_embd": 64,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 128,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
}
MLA = {
    "num_key_value_heads": 4,
    "q_lora_rank": 32,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 16,
    "v_head_dim": 24,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
    "first_k_dense_replace": 1,
}
LINEAR = {
    "num_hidden_layers": 4,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "shared_expert_intermediate_size": 32,
}
MAMBA: dict[str, Any] = {
    "vocab_size": 256,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "state_size": 8,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
SEEDS = {
    "llama": 5,
    "qwen3": 1,
    "mistral": 4,
    "gemma2": 2,
    "gemma3": 8,
    "gpt2": 7,
    "mixtral": 5,
    "gpt_oss": 1,
    "deepseek_v3": 2,
    "qwen3_next": 3,
}
"""Chosen so that greedy text is varied and its margins wide; 0 where nothing is listed."""
DEFAULT_ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SHAPE),
    "qwen3": ("Qwen3Config", {**SHAPE, "tie_word_embeddings": True}),
    "mistral": ("MistralConfig", {**SHAPE, **SLIDING}),
    "gemma2": ("Gemma2Config", {**SHAPE, **ALTERNATING, "attn_logit_softcapping": 5.0}),
    "gemma3": ("Gemma3TextConfig", {**SHAPE, **ALTERNATING}),
    "gpt2": ("GPT2Config", GPT2),
    "qwen3_moe": ("Qwen3MoeConfig", {**SHAPE, **MOE}),
    "mixtral": ("MixtralConfig", {**SHAPE, "num_local_experts": 4, "sliding_window": None}),
    "gpt_oss": (
        "GptOssConfig",
        {**SHAPE, **ALTERNATING, **DEFAULT_ROPE, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "deepseek_v3": ("DeepseekV3Config", {**WITHOUT_HEAD_DIM, **MLA}),
    "mamba": ("MambaConfig", MAMBA),
    "qwen3_next": ("Qwen3NextConfig", {**SHAPE, **MOE, **LINEAR}),
    "bloom": (
        "BloomConfig",
        {"vocab_size": 256, "hidden_size": 64, "n_layer": 3, "n_head": 4, "initializer_range": 0.2},
    ),
}


IN_SLOTS = (
    "llama", "qwen3", "mistral", "gemma2", "gemma3", "gpt2", "qwen3_moe", "mixtral", "gpt_oss",
)  # fmt: skip


@dataclass(frozen=True)
class Reference:
    """What ``generate`` chose for each prompt, float32 and greedy, and the logits it chose by."""

    outputs: tuple[tuple[int, ...], ...]
    logits: tuple[torch.Tensor, ...]


@dataclass
class Job:
    """One greedy sequence: the driver starts it at ``joins`` and runs its prompt in pieces."""

    prompt: Sequence[int]
    slot: int = 0
    joins: int = 0
    chunk: int = 1000
    cached: int = 0
    operations: tuple[KvOperation, ...] = ()
    output: list[int] = field(default_factory=list)
    logits: list[torch.Tensor] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return len(self.output) >= NEW_IDS

    def row(self) -> StepRow:
        known = [*self.prompt, *self.output]
        ids = tuple(known[self.cached : self.cached + self.chunk])
        last = self.cached + len(ids) == len(known)
        return StepRow(self.slot, self.cached, ids, "last" if last else "none")

    def take(self, row: StepRow, logits: Iterator[torch.Tensor]) -> None:
        self.cached += len(row.ids)
        if row.logits == "last":
            self.logits.append(next(logits))
            self.output.append(int(self.logits[-1].argmax()))


def run_jobs(engine: StepEngine, jobs: Sequence[Job]) -> list[tuple[int, ...]]:
    step = 0
    while not all(job.done for job in jobs):
        active = [job for job in jobs if job.joins <= step and not job.done]
        rows = [job.row() for job in active]
        operations = [op for job in active if job.joins == step for op in job.operations]
        if rows:
            logits = iter(engine.forward(StepBatch(tuple(operations), tuple(rows))))
            for job, row in zip(active, rows, strict=True):
                job.take(row, logits)
            assert next(logits, None) is None
        step += 1
    return [tuple(job.output) for job in jobs]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tiny matrices: more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Path of the tiny model with that name, made once per session with a fixed seed."""
    folder = tmp_path_factory.mktemp("tiny")

    def make(name: str) -> Path:
        if not (folder / name).exists():
            kind, settings = CONFIGS[name]
            torch.manual_seed(SEEDS.get(name, 0))
            config = getattr(transformers, kind)(**settings)
            transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # theirs
            model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # theirs
            model.save_pretrained(folder / name)
        return folder / name

    return make


@pytest.fixture(scope="session")
def reference(checkpoint: Callable[[str], Path]) -> Callable[[str], Reference]:
    made: dict[str, Reference] = {}

    def ask(name: str) -> Reference:
        if name not in made:
            model = AutoModelForCausalLM.from_pretrained(checkpoint(name), dtype=torch.float32)
            made[name] = generate(model)
        return made[name]

    return ask


def generate(model: Any) -> Reference:
    outputs, logits = [], []
    for prompt in PROMPTS:
        said = model.generate(
            torch.tensor([prompt]),
            max_new_tokens=NEW_IDS,
            do_sample=False,
            pad_token_id=0,
            return_dict_in_generate=True,
            output_logits=True,
        )
        outputs.append(tuple(said.sequences[0, len(prompt) :].tolist()))
        logits.append(torch.cat(said.logits))
    return Reference(tuple(outputs), tuple(logits))


@pytest.fixture(scope="session")
def load(checkpoint: Callable[[str], Path]) -> Iterator[Callable[..., StepEngine]]:
    """A tiny model on the CPU with the given options, by default in float32. Tests without
    options share an engine, one after the other, as sequences of a server do.
    """
    shared: dict[str, StepEngine] = {}
    engines: list[StepEngine] = []

    def open_engine(name: str, **options: Any) -> StepEngine:
        if not options and name in shared:
            return shared[name]
        settings = TransformersOptions(**{"device": "cpu", "dtype": "float32", **options})
        engine = TransformersBackend().load(checkpoint(name), settings, lambda *_: None)
        assert isinstance(engine, StepEngine)
        engines.append(engine)
        if not options:
            shared[name] = engine
        return engine

    yield open_engine
    for engine in engines:
        engine.close()


@pytest.fixture(params=IN_SLOTS)
def decoder(request: pytest.FixtureRequest) -> str:
    """The name of each tiny model that runs in slots."""
    return str(request.param)


@dataclass(frozen=True)
class Lab:
    """What the tests of generated text need."""

    load: Callable[..., Any]
    reference: Callable[[str], Reference]
    prompts: tuple[tuple[int, ...], ...] = PROMPTS
    job: type[Job] = Job
    run: Callable[[StepEngine, Sequence[Job]], list[tuple[int, ...]]] = run_jobs


@pytest.fixture
def lab(load: Callable[..., Any], reference: Callable[[str], Reference]) -> Lab:
    return Lab(load, reference)


@pytest.fixture(autouse=True)
def calm_logs() -> Iterator[None]:
    """Transformers' own log goes past pytest's capture; the tests' own models may be noisy."""
    before = logging.getLogger("transformers").level
    yield
    assert logging.getLogger("transformers").level == before
