"""The graph of a Llama-like decoder in the form that ContinuousBatchingPipeline accepts, made
straight of the checkpoint.

Stateful: keys and values are variables of shape (batch, kv_heads, length, head_dim). The pipeline
puts paged attention in the place of each variable with its ScaledDotProductAttention and then
feeds flat ids, so nothing here may depend on ids being in rows, the mask apart, which goes away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino as ov
from openvino import opset13 as op

from enginebay_core.api import ModelError, Progress
from enginebay_core.export import Array, Decoder, Tensors, rope_tables
from enginebay_openvino.weights import constant

MASKED = np.float32(-65504)
"""Stays finite in every short float, also when a score is added."""
MODEL = "openvino_model.xml"


def write_graph(
    decoder: Decoder, tensors: Tensors, out: Path, precision: str, progress: Progress
) -> None:
    """Raises ModelError for tensors that are missing, or that the graph has no use for."""
    model = DecoderGraph(decoder, tensors, precision).build(progress)
    if tensors.left:
        raise ModelError(f"the graph has no use for {', '.join(map(repr, tensors.left[:3]))}")
    progress("writing the graph's files")
    ov.save_model(model, out / MODEL, compress_to_fp16=False)


class Weights(Protocol):
    def take(self, name: str, *shape: int) -> Array: ...

    def drop(self, name: str) -> None: ...


class DecoderGraph:
    """Nodes are passed between the methods; the shapes in their comments are of the stateful
    graph: B rows of L new ids after P earlier ones, T = P + L.
    """

    def __init__(self, decoder: Decoder, tensors: Weights, precision: str) -> None:
        self.decoder, self.tensors, self.precision = decoder, tensors, precision
        self.sinks: list[Any] = []

    def build(self, progress: Progress) -> ov.Model:
        self._declare()
        hidden = self._embed()
        for index in range(self.decoder.layers):
            progress("making the graph", index, self.decoder.layers)
            prefix = f"model.layers.{index}."
            normed = self._norm(f"{prefix}input_layernorm.weight", hidden)
            hidden = op.add(hidden, self._attention(index, f"{prefix}self_attn.", normed))
            normed = self._norm(f"{prefix}post_attention_layernorm.weight", hidden)
            hidden = op.add(hidden, self._mlp(f"{prefix}mlp.", normed))
        logits = self._logits(self._norm("model.norm.weight", hidden))
        logits.output(0).set_names({"logits"})
        return ov.Model([op.result(logits)], self.sinks, self.inputs, "decoder")

    def _declare(self) -> None:
        self.ids = parameter("input_ids", [-1, -1])
        self.mask = parameter("attention_mask", [-1, -1])
        self.positions = parameter("position_ids", [-1, -1])
        self.beams = parameter("beam_idx", [-1], np.int32)
        self.inputs = [self.ids, self.mask, self.positions, self.beams]
        self.rows = op.gather(op.shape_of(self.ids), whole([0]), whole(0))
        cosines, sines = (self._turns(table) for table in rope_tables(self.decoder))
        self.turns = (cosines, sines)
        self.bias = self._mask_bias()

    def _turns(self, table: np.ndarray[Any, Any]) -> Any:
        """(B, 1, L, head_dim)."""
        both = op.constant(np.concatenate((table, table), axis=1))
        return op.unsqueeze(op.gather(both, self.positions, whole(0)), whole(1))

    def _mask_bias(self) -> Any:
        """(B, 1, L, T): 0 where an id may look, the least float elsewhere."""
        total = op.gather(op.shape_of(self.mask), whole(1), whole(0))
        new = op.gather(op.shape_of(self.ids), whole(1), whole(0))
        columns = op.range(whole(0), total, whole(1), output_type="i64")
        rows = op.unsqueeze(op.range(op.subtract(total, new), total, whole(1), "i64"), whole(1))
        before = op.less_equal(columns, rows)
        valid = op.unsqueeze(op.not_equal(self.mask, whole(0)), whole([1, 2]))
        return op.select(op.logical_and(before, valid), op.constant(np.float32(0)), MASKED)

    def _embed(self) -> Any:
        one = self.decoder
        self.table = self.tensors.take("model.embed_tokens.weight", one.vocab_size, one.hidden_size)
        self.embedding = constant(self.table, self.precision)
        return op.gather(self.embedding, self.ids, whole(0))

    def _norm(self, name: str, hidden: Any) -> Any:
        return self._scale(self.tensors.take(name, self.decoder.hidden_size), hidden)

    def _scale(self, gain: np.ndarray[Any, Any], hidden: Any) -> Any:
        """Root mean square norm over the last axis."""
        squares = op.power(hidden, np.float32(2))
        mean = op.reduce_mean(squares, whole([-1]), keep_dims=True)
        root = op.sqrt(op.add(mean, np.float32(self.decoder.epsilon)))
        return op.multiply(op.multiply(hidden, op.divide(np.float32(1), root)), op.constant(gain))

    def _attention(self, index: int, prefix: str, normed: Any) -> Any:
        one = self.decoder
        queries = self._heads(f"{prefix}q_proj", one.heads, normed)
        keys = self._heads(f"{prefix}k_proj", one.kv_heads, normed)
        values = self._heads(f"{prefix}v_proj", one.kv_heads, normed)
        if one.qk_norm:
            queries = self._scale(
                self.tensors.take(f"{prefix}q_norm.weight", one.head_dim), queries
            )
            keys = self._scale(self.tensors.take(f"{prefix}k_norm.weight", one.head_dim), keys)
        queries, keys, values = (
            op.transpose(x, whole([0, 2, 1, 3])) for x in (queries, keys, values)
        )
        found = op.scaled_dot_product_attention(
            self._turn(queries),
            self._remember(f"past_key_values.{index}.key", self._turn(keys)),
            self._remember(f"past_key_values.{index}.value", values),
            self.bias,
        )
        width = one.heads * one.head_dim
        flat = op.reshape(op.transpose(found, whole([0, 2, 1, 3])), whole([0, 0, width]), True)
        return self._linear(f"{prefix}o_proj", width, one.hidden_size, flat, one.output_bias)

    def _heads(self, name: str, heads: int, normed: Any) -> Any:
        """(B, L, heads, head_dim)."""
        one = self.decoder
        wide = self._linear(name, one.hidden_size, heads * one.head_dim, normed, one.qkv_bias)
        return op.reshape(wide, whole([0, 0, heads, one.head_dim]), True)

    def _turn(self, heads: Any) -> Any:
        """Rotary position embedding: the halves are the pairs' first and second numbers."""
        half, end, last = self.decoder.head_dim // 2, self.decoder.head_dim, whole([3])
        first = op.slice(heads, whole([0]), whole([half]), whole([1]), last)
        second = op.slice(heads, whole([half]), whole([end]), whole([1]), last)
        swapped = op.concat([op.multiply(second, np.float32(-1)), first], -1)
        cosines, sines = self.turns
        return op.add(op.multiply(heads, cosines), op.multiply(swapped, sines))

    def _remember(self, name: str, new: Any) -> Any:
        """Append to the variable; (B, heads, T, head_dim), each key-value head as often as query
        heads share it.
        """
        one = self.decoder
        empty = op.concat([self.rows, whole([one.kv_heads, 0, one.head_dim])], 0)
        shape = [-1, one.kv_heads, -1, one.head_dim]
        past = op.read_value(
            op.broadcast(np.float32(0), empty), name, ov.Type.f32, ov.PartialShape(shape)
        )
        kept = op.concat([op.gather(past, self.beams, whole(0)), new], 2)
        self.sinks.append(op.assign(kept, name))
        groups = one.heads // one.kv_heads
        if groups == 1:
            return kept
        apart = op.unsqueeze(kept, whole(2))
        shares = op.broadcast(apart, whole([1, 1, groups, 1, 1]), broadcast_spec="BIDIRECTIONAL")
        return op.reshape(shares, whole([0, one.heads, -1, one.head_dim]), True)

    def _mlp(self, prefix: str, normed: Any) -> Any:
        one = self.decoder
        wide, narrow = one.intermediate_size, one.hidden_size
        gate = op.swish(self._linear(f"{prefix}gate_proj", narrow, wide, normed, one.mlp_bias))
        up = self._linear(f"{prefix}up_proj", narrow, wide, normed, one.mlp_bias)
        return self._linear(f"{prefix}down_proj", wide, narrow, op.multiply(gate, up), one.mlp_bias)

    def _logits(self, normed: Any) -> Any:
        one = self.decoder
        if one.tied:
            self.tensors.drop("lm_head.weight")
            return op.matmul(normed, self.embedding, False, True)
        head = self.tensors.take("lm_head.weight", one.vocab_size, one.hidden_size)
        return op.matmul(normed, constant(head, self.precision), False, True)

    def _linear(self, name: str, inputs: int, outputs: int, hidden: Any, biased: bool) -> Any:
        weight = constant(self.tensors.take(f"{name}.weight", outputs, inputs), self.precision)
        product = op.matmul(hidden, weight, False, True)
        if not biased:
            return product
        return op.add(product, op.constant(self.tensors.take(f"{name}.bias", outputs)))


def parameter(name: str, shape: list[int], dtype: Any = np.int64) -> Any:
    made = op.parameter(shape, dtype)
    made.set_friendly_name(name)
    made.output(0).set_names({name})
    return made


def whole(value: int | list[int]) -> Any:
    return op.constant(np.array(value, np.int64))
