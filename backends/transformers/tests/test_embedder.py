"""Vectors are the last hidden states, pooled by hand, whatever else is in the batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers
from transformers import AutoModel

from enginebay_core.api import Embedder, ModelError, StepEngine
from enginebay_core.testing import EmbedderContract
from enginebay_transformers import TransformersBackend, TransformersOptions

Floats = npt.NDArray[np.float32]

ENCODER: dict[str, Any] = {
    "vocab_size": 256,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 66,
    "initializer_range": 0.2,
}
DECODER = {**ENCODER, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}
OLD = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
KINDS: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "bert": ("BertConfig", ENCODER, OLD),
    "roberta": ("XLMRobertaConfig", {**ENCODER, "pad_token_id": 1}, {"pooling_mode": "cls"}),
    "qwen3": ("Qwen3Config", DECODER, {"pooling_mode_lasttoken": True}),
    "plain": ("BertConfig", ENCODER, None),
}


def make(folder: Path, name: str) -> Path:
    """A tiny model in the layout of sentence-transformers."""
    kind, settings, pooling = KINDS[name]
    torch.manual_seed(0)
    model: Any = AutoModel.from_config(getattr(transformers, kind)(**settings))  # type: ignore[no-untyped-call]  # theirs
    model.save_pretrained(folder)
    if pooling is not None:
        names = ("Transformer", "Pooling", "Normalize")
        modules = [
            {
                "idx": index,
                "path": f"{index}_{name}",
                "type": f"sentence_transformers.models.{name}",
            }
            for index, name in enumerate(names)
        ]
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    base = tmp_path_factory.mktemp("encoders")
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # theirs
    made = {name: make(base / name, name) for name in KINDS}
    for contract in (TestMean, TestFirst, TestLast, TestElsewhere):
        contract.model = str(made[contract.name])
    return made.__getitem__


class TestMean(EmbedderContract):
    backend, name = "transformers", "bert"
    options: ClassVar[dict[str, Any]] = {"device": "cpu", "dtype": "float32"}
    reference: ClassVar[Any] = None

    @classmethod
    def oracle(cls, ids: Sequence[int]) -> Floats:
        if "reference" not in vars(cls) or cls.reference is None:
            cls.reference = AutoModel.from_pretrained(cls.model, dtype=torch.float32).eval()
        with torch.no_grad():
            hidden = cls.reference(torch.tensor([list(ids)])).last_hidden_state[0]
        found: Floats = cls.pooled(hidden).numpy()
        return found

    @classmethod
    def pooled(cls, hidden: torch.Tensor) -> torch.Tensor:
        return hidden.mean(dim=0)


class TestFirst(TestMean):
    name = "roberta"

    @classmethod
    def pooled(cls, hidden: torch.Tensor) -> torch.Tensor:
        return hidden[0]


class TestLast(TestMean):
    name = "qwen3"

    @classmethod
    def pooled(cls, hidden: torch.Tensor) -> torch.Tensor:
        return hidden[-1]


@pytest.mark.environments  # the toy shows it in seconds
class TestElsewhere(TestMean):
    placement, tokenizer = "process", "bytes"


def load(model: Path, **options: Any) -> Embedder | StepEngine:
    settings = TransformersOptions(**{"device": "cpu", "dtype": "float32", **options})
    return TransformersBackend().load(model, settings, lambda *_: None)


def open_embedder(model: Path, **options: Any) -> Embedder:
    opened = load(model, **options)
    assert isinstance(opened, Embedder)
    return opened


def test_the_spec_is_the_checkpoints(models: Callable[[str], Path]) -> None:
    for name, length, pooling in (("bert", 66, "mean"), ("roberta", 64, "cls")):
        spec = open_embedder(models(name)).spec
        assert (spec.dimensions, spec.max_length, spec.normalize) == (32, length, True)
        assert spec.facts["pooling"] == pooling
        assert not spec.shrinkable
    assert open_embedder(models("bert"), shrinkable=True, max_length=10).spec.max_length == 10


def test_sentence_transformers_length_is_kept_to(models: Callable[[str], Path]) -> None:
    file = models("bert") / "sentence_bert_config.json"
    file.write_text('{"max_seq_length": 12}')
    assert open_embedder(models("bert")).spec.max_length == 12
    file.unlink()


def test_the_operator_chooses(models: Callable[[str], Path]) -> None:
    chosen = open_embedder(models("bert"), pooling="cls")
    own = open_embedder(models("bert"))
    assert not np.allclose(chosen.embed([[5, 6, 7]]), own.embed([[5, 6, 7]]))


def test_an_encoder_without_a_recipe_is_one(models: Callable[[str], Path]) -> None:
    assert open_embedder(models("plain")).spec.facts["pooling"] == "mean"


def test_a_chat_model_makes_text_unless_told(checkpoint: Callable[[str], Path]) -> None:
    engine = load(checkpoint("llama"))
    assert isinstance(engine, StepEngine)
    engine.close()
    embedder = open_embedder(checkpoint("llama"), task="embed", pooling="last")
    assert embedder.embed([[1, 2, 3]]).shape == (1, 64)
    embedder.close()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("modules.json", '[{"type": "a.Dense", "path": "2_Dense"}]', "module 'Dense'"),
        ("modules.json", "{", "cannot be read"),
        ("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}', "pooling is max_tokens"),
        (
            "1_Pooling/config.json",
            '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}',
            r"cls_token \+ mean_tokens",
        ),
    ],
)
def test_a_recipe_that_is_not_known_is_refused(
    tmp_path: Path, file: str, text: str, message: str
) -> None:
    model = make(tmp_path / "bert", "bert")
    (model / file).write_text(text)
    with pytest.raises(ModelError, match=message):
        load(model)


def test_more_than_the_model_has_is_refused(models: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match="66 positions"):
        load(models("bert"), max_length=100)


def test_what_reads_no_text_is_refused(models: Callable[[str], Path], tmp_path: Path) -> None:
    config: Any = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    AutoModel.from_config(config).save_pretrained(tmp_path / "vit")  # type: ignore[no-untyped-call]  # theirs
    with pytest.raises(ModelError, match="reads no text"):
        load(tmp_path / "vit")
