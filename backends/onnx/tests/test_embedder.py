"""Vectors of the graph that a checkpoint brings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest

from enginebay_core.api import Embedder, ModelError
from enginebay_core.testing import EmbedderContract
from enginebay_onnx import OnnxBackend, OnnxOptions

onnx = pytest.importorskip("onnx", reason="needs backends/onnx[cpu]")
pytest.importorskip("onnxruntime", reason="needs backends/onnx[cpu]")

Floats = npt.NDArray[np.float32]

VOCAB_SIZE, SIZE, PLACES = 97, 16, 40
CONFIG = {
    "model_type": "bert",
    "vocab_size": VOCAB_SIZE,
    "hidden_size": SIZE,
    "max_position_embeddings": PLACES,
    "pad_token_id": 0,
}


def weights() -> dict[str, Floats]:
    random = np.random.default_rng(0)
    shapes = {"words": (VOCAB_SIZE, SIZE), "places": (PLACES, SIZE), "mix": (SIZE, SIZE)}
    return {
        name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()
    }


def write_graph(file: Path, output: str = "last_hidden_state") -> None:
    """An attention layer in the shape of an encoder's graph: ids and mask to hidden states."""
    helper, types = onnx.helper, onnx.TensorProto
    node = helper.make_node
    size = ["inputs", "ids"]
    nodes = [
        node("Gather", ["words", "input_ids"], ["word"]),
        node("Shape", ["input_ids"], ["length"], start=1, end=2),
        node("Slice", ["places", "zero", "length", "zero"], ["place"]),
        node("Add", ["word", "place"], ["x"]),
        node("MatMul", ["x", "mix"], ["q"]),
        node("Transpose", ["x"], ["k"], perm=[0, 2, 1]),
        node("MatMul", ["q", "k"], ["scores"]),
        node("Mul", ["scores", "scale"], ["scaled"]),
        node("Cast", ["attention_mask"], ["seen"], to=types.BOOL),
        node("Unsqueeze", ["seen", "one"], ["seen3"]),
        node("Where", ["seen3", "scaled", "never"], ["masked"]),
        node("Softmax", ["masked"], ["weights"], axis=-1),
        node("MatMul", ["weights", "x"], ["mixed"]),
        node("Tanh", ["mixed"], [output]),
    ]
    constants: dict[str, Any] = {
        **weights(),
        "zero": np.array([0]),
        "one": np.array([1]),
        "scale": np.array(0.1, np.float32),
        "never": np.array(-1e9, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "encoder",
        [
            helper.make_tensor_value_info(name, types.INT64, size)
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info(output, types.FLOAT, [*size, SIZE])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 21)]
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), file)


def write_model(folder: Path, graph: str = "onnx/model.onnx", pooling: str = "mean") -> Path:
    write_graph(folder / graph)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    modules = [
        {"path": f"{index}", "type": f"sentence_transformers.models.{name}"}
        for index, name in enumerate(("Transformer", "Pooling"))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1").mkdir()
    (folder / "1" / "config.json").write_text(json.dumps({"pooling_mode": pooling}))
    return folder


def hidden_states(ids: Sequence[int]) -> Floats:
    """The same layer in numpy, of one input alone."""
    own = weights()
    x = own["words"][list(ids)] + own["places"][: len(ids)]
    scores = (x @ own["mix"]) @ x.T * np.float32(0.1)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    found: Floats = np.tanh(shares @ x)
    return found


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("encoders")
    TestMean.model = str(write_model(base / "mean"))
    TestLast.model = str(write_model(base / "last", "model.onnx", "lasttoken"))
    TestElsewhere.model = TestMean.model


class TestMean(EmbedderContract):
    backend = "onnx"
    options: ClassVar[dict[str, Any]] = {"threads": 1}

    @classmethod
    def oracle(cls, ids: Sequence[int]) -> Floats:
        found: Floats = hidden_states(ids).mean(axis=0)
        return found


class TestLast(TestMean):
    @classmethod
    def oracle(cls, ids: Sequence[int]) -> Floats:
        found: Floats = hidden_states(ids)[-1]
        return found


@pytest.mark.environments  # the toy shows it in seconds
class TestElsewhere(TestMean):
    placement, tokenizer = "process", "bytes"


def load(model: Path, **options: Any) -> Any:
    return OnnxBackend().load(model, OnnxOptions(threads=1, **options), lambda *_: None)


def test_the_spec_is_the_checkpoints(tmp_path: Path) -> None:
    embedder = load(write_model(tmp_path / "model"))
    assert isinstance(embedder, Embedder)
    spec = embedder.spec
    assert (spec.dimensions, spec.max_length, spec.normalize) == (SIZE, PLACES, False)
    assert spec.facts == {"device": "cpu", "pooling": "mean"}


def test_a_graph_is_needed_and_must_be_an_encoders(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    with pytest.raises(ModelError, match="has 40 positions"):
        load(model, max_length=41)
    write_graph(model / "onnx" / "model.onnx", "logits")
    with pytest.raises(ModelError, match="the graph gives logits"):
        load(model)
    (model / "onnx" / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"has no 'onnx/model\.onnx'"):
        load(model)
