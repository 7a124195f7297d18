"""How a transformer makes a token: the whole Qwen3 forward pass (arXiv:2505.09388) in numpy.

A model is given the ids of a text so far and answers with one number per id of its vocabulary:
the logits, high for the ids that fit well as the next one. Sampling picks an id, the id joins the
text, and all begins again. ``NumpyEngine.forward`` is one such round, for several texts at once.

Between the rounds one thing is kept, the KV cache: what every earlier id has to say to later ones.
It is why a new id costs one id's work and not the whole text's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from enginebay_core.api import CopyPrefix, EngineSpec, NumpySampling, StepBatch, StepRow
from enginebay_numpy.checkpoint import Config, Floats, Layer, Weights

Turns: TypeAlias = npt.NDArray[np.complex64]


class NumpyEngine(NumpySampling):
    """A StepEngine in float32.

    A *slot* is the room of one text in the cache. ``cache`` has the shape (layers, 2 for keys and
    values, slots, key-value heads, ``max_length``, head_dim). It is not touched before it is
    written, so an operating system that pages lazily gives memory only to what is used.
    """

    def __init__(
        self, config: Config, weights: Weights, *, max_sequences: int, max_length: int
    ) -> None:
        self.config, self.weights = config, weights
        layers, kv_heads, head_dim = config.layers, config.kv_heads, config.head_dim
        shape = (layers, 2, max_sequences, kv_heads, max_length, head_dim)
        self.cache: Floats = np.zeros(shape, np.float32)
        self.turns = rope_turns(config, max_length)
        self.spec = EngineSpec(
            vocab_size=config.vocab_size,
            max_length=max_length,
            max_sequences=max_sequences,
            kv_bytes=self.cache.nbytes,
            kv_bytes_per_token=self.cache.nbytes // (max_sequences * max_length),
            kv_grain=1,
            rewind="any",
            batching="mixed",
            facts={"device": "cpu", "dtype": "float32"},
        )

    def forward(self, batch: StepBatch) -> Floats:
        """All ids of all rows go through each layer together; only attention looks at one row at
        a time. Ids first become vectors, ``hidden`` of shape (ids, hidden size); each layer adds
        to them what it found; the last vectors, compared with every id's, give the logits.
        """
        for operation in batch.operations:
            if isinstance(operation, CopyPrefix):
                self.copy_prefix(operation)
            # Rewind and Free need nothing: what lies past the end of a row is never read.
        ids, positions, asked = flatten(batch.rows)
        hidden = self.weights.embedding[ids]
        turns = self.turns[positions, np.newaxis]
        for layer, cache in zip(self.weights.layers, self.cache, strict=True):
            normed = rms_norm(hidden, layer.attention_norm, self.config.epsilon)
            hidden += self.attention(layer, cache, normed, turns, batch.rows)
            normed = rms_norm(hidden, layer.mlp_norm, self.config.epsilon)
            hidden += swiglu(layer, normed)
        hidden = rms_norm(hidden[asked], self.weights.final_norm, self.config.epsilon)
        return hidden @ self.weights.unembedding

    def attention(
        self, layer: Layer, cache: Floats, hidden: Floats, turns: Turns, rows: Sequence[StepRow]
    ) -> Floats:
        """Let every id take in what earlier ids of its own text have for it.

        Each id asks with its queries, is found by its keys, and hands out its values: three
        projections of its vector, in several heads. Queries and keys are normed, then turned by
        their position (rope). The new keys and values join the row's slot; the queries read all
        of it.
        """
        heads, kv_heads, head_dim = self.config.heads, self.config.kv_heads, self.config.head_dim
        projected = (hidden @ layer.queries_keys_values).reshape(len(hidden), -1, head_dim)
        asking, values = projected[:, :-kv_heads], projected[:, -kv_heads:]
        turned = turn(rms_norm(asking, layer.query_key_norm, self.config.epsilon), turns)
        queries, keys = turned[:, :heads], turned[:, heads:]
        found = np.empty_like(queries)
        for row, span in spans(rows):
            end = row.start + len(row.ids)
            slot_keys, slot_values = cache[:, row.slot, :, :end]
            slot_keys[:, row.start :] = keys[span].swapaxes(0, 1)
            slot_values[:, row.start :] = values[span].swapaxes(0, 1)
            found[span] = attend(queries[span], slot_keys, slot_values)
        return found.reshape(len(hidden), -1) @ layer.output

    def copy_prefix(self, copy: CopyPrefix) -> None:
        """Two texts that begin alike share that beginning's work."""
        self.cache[:, :, copy.target, :, : copy.length] = self.cache[
            :, :, copy.source, :, : copy.length
        ]

    def close(self) -> None:
        del self.weights, self.cache, self.turns


def attend(queries: Floats, keys: Floats, values: Floats) -> Floats:
    """Scaled dot-product attention of the newest ids of one text, shape (ids, heads, head_dim).

    ``keys`` and ``values`` have the shape (key-value heads, length, head_dim); the newest ids are
    the last of ``length``. Attention is grouped (arXiv:2305.13245): several query heads read the
    same key-value head, so those are stacked and the cache is used where it lies. The scale is in
    the queries already, by way of their norm's weight.
    """
    ids, heads, head_dim = queries.shape
    kv_heads, length, _ = keys.shape
    stacked = queries.reshape(ids, kv_heads, -1, head_dim).transpose(1, 2, 0, 3)
    scores = stacked.reshape(kv_heads, -1, head_dim) @ keys.swapaxes(1, 2)
    if ids > 1:  # the causal mask: nobody looks at an id that comes after it
        after = np.triu(np.full((ids, length), -np.inf, np.float32), k=length - ids + 1)
        by_id = scores.reshape(kv_heads, -1, ids, length)
        by_id += after
    found = (softmax(scores) @ values).reshape(kv_heads, -1, ids, head_dim)
    return found.transpose(2, 0, 1, 3).reshape(ids, heads, head_dim)


def softmax(scores: Floats) -> Floats:
    """Shares that sum to 1 along the last axis; works in place."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def swiglu(layer: Layer, hidden: Floats) -> Floats:
    """What an id's vector makes the model think of: a wide layer whose one half opens or closes
    the other (arXiv:2002.05202). The gate is silu, x / (1 + e^-x), by tanh, which cannot overflow.
    """
    wide = hidden @ layer.gate_up
    half, up = np.float32(0.5) * wide[:, : len(layer.down)], wide[:, len(layer.down) :]
    gated: Floats = (half + half * np.tanh(half)) * up
    return gated @ layer.down


def rms_norm(hidden: Floats, weight: Floats, epsilon: np.float32) -> Floats:
    """Scale each vector to a mean square of 1, then by the learned weight (arXiv:1910.07467)."""
    mean_square = np.square(hidden).sum(axis=-1, keepdims=True) / np.float32(hidden.shape[-1])
    normed: Floats = hidden / np.sqrt(mean_square + epsilon) * weight
    return normed


def rope_turns(config: Config, max_length: int) -> Turns:
    """Rotary position embedding (arXiv:2104.09864): one turn per position and pair of numbers, as
    a complex number of length 1, so that a dot product of two turned vectors depends on how far
    apart they stand. Angles are float32, as in training. Shape (max_length, head_dim / 2).
    """
    pairs = np.arange(0, config.head_dim, 2, dtype=np.float32) / np.float32(config.head_dim)
    speeds = 1 / np.float32(config.rope_theta) ** pairs
    angles = np.arange(max_length, dtype=np.float32)[:, np.newaxis] * speeds
    turns: Turns = np.exp(1j * angles).astype(np.complex64)
    return turns


def turn(heads: Floats, turns: Turns) -> Floats:
    """Turn each pair of neighbours; the checkpoint was loaded with pairs side by side."""
    return (heads.view(np.complex64) * turns).view(np.float32)


def flatten(rows: Sequence[StepRow]) -> tuple[list[int], list[int], list[int]]:
    """All ids, their positions, and which of them were asked for logits, in row order."""
    ids: list[int] = []
    positions: list[int] = []
    asked: list[int] = []
    for row in rows:
        ids += row.ids
        positions += range(row.start, row.start + len(row.ids))
        wanted = {"none": 0, "last": 1, "all": len(row.ids)}[row.logits]
        asked += range(len(ids) - wanted, len(ids))
    return ids, positions, asked


def spans(rows: Sequence[StepRow]) -> Iterator[tuple[StepRow, slice]]:
    """Each row with its place among the ids of the batch."""
    end = 0
    for row in rows:
        begin, end = end, end + len(row.ids)
        yield row, slice(begin, end)
