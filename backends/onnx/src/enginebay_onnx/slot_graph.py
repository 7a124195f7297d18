"""The graph of a Llama-like decoder over KV slots, made straight of the checkpoint.

All ids of a step run as rows of two-dimensional matrices. Only GroupQueryAttention sees sequences:
it writes new keys and values in place into the slots it is given, and reads of each as much as
``seqlens_k`` says. ``query_seqlens`` 0 marks a slot between the others that only looks on. The
logits are computed for the rows named in ``wanted`` alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from enginebay_core.api import ModelError, Progress
from enginebay_core.export import Array, Decoder, Tensors, rope_tables
from enginebay_onnx.graph_file import CONTRIB, GraphFile
from enginebay_onnx.int8 import ACCURACY, BITS, BLOCK, quantize

DTYPES: Final[dict[str, npt.DTypeLike]] = {
    "fp32": np.float32,
    "int8": np.float32,
    "fp16": np.float16,
}
"""What activations, keys and values are, by precision."""


def write_slot_graph(
    decoder: Decoder, tensors: Tensors, out: Path, precision: str, progress: Progress
) -> None:
    """Raises ModelError for tensors that are missing, or that the graph has no use for."""
    facts = {
        "layout": "slots",
        "heads": str(decoder.heads),
        "max_positions": str(decoder.max_positions),
    }
    with GraphFile(out, facts) as file:
        SlotGraph(decoder, tensors, file, precision).write(progress)
    if tensors.left:
        raise ModelError(f"the graph has no use for {_some(tensors.left)}")


class SlotGraph:
    """Names of values in the graph are passed between the methods."""

    def __init__(self, decoder: Decoder, tensors: Tensors, file: GraphFile, precision: str) -> None:
        self.decoder, self.tensors, self.file = decoder, tensors, file
        self.dtype = np.dtype(DTYPES[precision])
        self.int8 = precision == "int8"

    def write(self, progress: Progress) -> None:
        self._declare()
        hidden, delta = self._embed(), ""
        for index in range(self.decoder.layers):
            progress("writing the graph", index, self.decoder.layers)
            prefix = f"model.layers.{index}."
            hidden, normed = self._norm(f"{prefix}input_layernorm.weight", hidden, delta)
            delta = self._attention(index, f"{prefix}self_attn.", normed)
            hidden, normed = self._norm(f"{prefix}post_attention_layernorm.weight", hidden, delta)
            delta = self._mlp(f"{prefix}mlp.", normed)
        _, normed = self._norm("model.norm.weight", hidden, delta)
        self._logits(normed)

    def _declare(self) -> None:
        """Inputs and constants that all layers share."""
        file, one = self.file, self.decoder
        file.input("input_ids", np.int64, ["batch", "sequence"])
        file.input("seqlens_k", np.int32, ["batch"])
        file.input("query_seqlens", np.int32, ["batch"])
        file.input("total_sequence_length", np.int32, [])
        file.input("wanted", np.int64, ["outputs"])
        cosines, sines = rope_tables(one)
        file.weight(cosines.astype(self.dtype), "cosines")
        file.weight(sines.astype(self.dtype), "sines")
        batch_sequence = file.one("Shape", ["input_ids"])
        self.queries = file.one(
            "Concat", [batch_sequence, file.shape(one.heads * one.head_dim)], axis=0
        )
        self.entries = file.one(
            "Concat", [batch_sequence, file.shape(one.kv_heads * one.head_dim)], axis=0
        )

    def _embed(self) -> str:
        one = self.decoder
        sizes = (one.vocab_size, one.hidden_size)
        self.table = self.tensors.take("model.embed_tokens.weight", *sizes)
        self.embedding = self._weight(self.table, "embedding")
        ids = self.file.one("Reshape", ["input_ids", self.file.shape(-1)])
        return self.file.one("Gather", [self.embedding, ids])

    def _norm(self, name: str, hidden: str, delta: str) -> tuple[str, str]:
        """Add ``delta``, where there is one, to ``hidden``: the sum, and the sum normed."""
        gain = self._weight(self.tensors.take(name, self.decoder.hidden_size))
        epsilon = self.decoder.epsilon
        if not delta:
            return hidden, self.file.one(
                "SimplifiedLayerNormalization", [hidden, gain], axis=-1, epsilon=epsilon
            )
        normed, _, _, total = self.file.node(
            "SkipSimplifiedLayerNormalization",
            [hidden, delta, gain],
            [self.file.fresh("normed"), "", "", self.file.fresh("hidden")],
            CONTRIB,
            epsilon=epsilon,
        )
        return total, normed

    def _attention(self, index: int, prefix: str, normed: str) -> str:
        one = self.decoder
        parts = {"q": one.heads, "k": one.kv_heads, "v": one.kv_heads}
        sizes = [heads * one.head_dim for heads in parts.values()]
        projected = self._linear(
            [f"{prefix}{part}_proj" for part in parts], sizes, normed, one.qkv_bias
        )
        split = self.file.node("Split", [projected, self.file.shape(*sizes)], 3, axis=-1)
        queries, keys, values = split
        if one.qk_norm:
            queries = self._head_norm(f"{prefix}q_norm.weight", queries)
            keys = self._head_norm(f"{prefix}k_norm.weight", keys)
        found = self._attend(index, queries, keys, values)
        flat = self.file.one("Reshape", [found, self.file.shape(-1, sizes[0])])
        return self._linear([f"{prefix}o_proj"], [one.hidden_size], flat, one.output_bias, sizes[0])

    def _head_norm(self, name: str, vectors: str) -> str:
        """Each head by itself; comes back with one head per row."""
        head_dim = self.decoder.head_dim
        gain = self._weight(self.tensors.take(name, head_dim))
        heads = self.file.one("Reshape", [vectors, self.file.shape(-1, head_dim)])
        return self.file.one(
            "SimplifiedLayerNormalization", [heads, gain], axis=-1, epsilon=self.decoder.epsilon
        )

    def _attend(self, index: int, queries: str, keys: str, values: str) -> str:
        file, one = self.file, self.decoder
        shape: list[int | str] = ["batch", one.kv_heads, "length", one.head_dim]
        past = [file.input(f"past.{index}.{part}", self.dtype, shape) for part in ("key", "value")]
        present = [f"present.{index}.{part}" for part in ("key", "value")]
        query = file.one("Reshape", [queries, self.queries])
        key, value = (file.one("Reshape", [each, self.entries]) for each in (keys, values))
        inputs = [query, key, value, *past, "seqlens_k", "total_sequence_length"]
        inputs += ["cosines", "sines", *[""] * 7, "query_seqlens"]
        outputs = [file.fresh("found"), *present]
        attributes = {"num_heads": one.heads, "kv_num_heads": one.kv_heads, "do_rotary": 1}
        if one.windows[index] > 0:
            attributes["local_window_size"] = one.windows[index]
        file.node("GroupQueryAttention", inputs, outputs, CONTRIB, **attributes)
        for name in present:
            file.output(name, self.dtype, shape)
        return outputs[0]

    def _mlp(self, prefix: str, normed: str) -> str:
        """SwiGLU (arXiv:2002.05202): QuickGelu with alpha 1 is silu."""
        one = self.decoder
        wide = one.intermediate_size
        both = self._linear(
            [f"{prefix}gate_proj", f"{prefix}up_proj"], [wide, wide], normed, one.mlp_bias
        )
        gate, up = self.file.node("Split", [both, self.file.shape(wide, wide)], 2, axis=-1)
        opened = self.file.one("QuickGelu", [gate], CONTRIB, alpha=1.0)
        gated = self.file.one("Mul", [opened, up])
        return self._linear([f"{prefix}down_proj"], [one.hidden_size], gated, one.mlp_bias, wide)

    def _logits(self, normed: str) -> None:
        """float32, whatever the rest is: the sampler's type."""
        one, file = self.decoder, self.file
        rows = file.one("Gather", [normed, "wanted"])
        if one.tied:
            self.tensors.drop("lm_head.weight")  # some files hold the copy all the same
        if one.tied and not self.int8:
            product = file.one("Gemm", [rows, self.embedding], transB=1)
        else:
            sizes = (one.vocab_size, one.hidden_size)
            matrix = self.table if one.tied else self.tensors.take("lm_head.weight", *sizes)
            product = self._product(matrix, None, rows)
        file.node("Cast", [product], ["logits"], to=TensorProto.FLOAT)
        file.output("logits", np.float32, ["outputs", one.vocab_size])

    def _linear(
        self, names: list[str], sizes: list[int], rows: str, bias: bool, columns: int = 0
    ) -> str:
        """One product for several matrices that read the same rows."""
        width = columns or self.decoder.hidden_size
        pairs = list(zip(names, sizes, strict=True))
        matrix = np.concatenate(
            [self.tensors.take(f"{name}.weight", size, width) for name, size in pairs]
        )
        added = (
            np.concatenate([self.tensors.take(f"{name}.bias", size) for name, size in pairs])
            if bias
            else None
        )
        return self._product(matrix, added, rows)

    def _product(self, matrix: Array, bias: Array | None, rows: str) -> str:
        extra = [] if bias is None else [self._weight(bias)]
        if not self.int8:
            return self.file.one("Gemm", [rows, self._weight(matrix), *extra], transB=1)
        stored, scales = (self.file.weight(part) for part in quantize(matrix))
        sizes = {"N": matrix.shape[0], "K": matrix.shape[1], "bits": BITS, "block_size": BLOCK}
        inputs = [rows, stored, scales, *(["", "", *extra] if extra else [])]
        return self.file.one("MatMulNBits", inputs, CONTRIB, accuracy_level=ACCURACY, **sizes)

    def _weight(self, array: Array, name: str = "") -> str:
        return self.file.weight(array.astype(self.dtype, copy=False), name)


def _some(names: list[str]) -> str:
    listed = ", ".join(repr(name) for name in names[:4])
    return f"{listed}, … ({len(names)} tensors)" if len(names) > 4 else listed
