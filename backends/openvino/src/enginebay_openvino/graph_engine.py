"""The exported graph by itself, for the parity gate: it shows logits, which the pipeline hides."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import openvino as ov

from enginebay_core.api import (
    EngineSpec,
    Free,
    ModelError,
    NumpySampling,
    StepBatch,
    StepRow,
)
from enginebay_core.export import read_json
from enginebay_openvino.graph import MODEL

SLOTS: Final = 6

Floats = npt.NDArray[np.float32]


class GraphEngine(NumpySampling):
    """Every slot is a row of the graph's variables. All rows grow by the longest of a step; the
    mask tells which of its columns belong to the row's text.
    """

    def __init__(self, directory: Path, precision: str) -> None:
        config = read_json(directory / "config.json")
        self.spec = EngineSpec(
            vocab_size=int(config["vocab_size"]),
            max_length=int(config["max_position_embeddings"]),
            max_sequences=SLOTS,
            kv_bytes=0,
            kv_bytes_per_token=0,
        )
        self._request = compile_graph(directory, precision).create_infer_request()
        self._mask = np.zeros((SLOTS, 0), np.int64)

    def forward(self, batch: StepBatch) -> Floats:
        """Rewinding and copying are not offered, so ``Free`` is the one operation."""
        for operation in batch.operations:
            assert isinstance(operation, Free)
            self._mask[operation.slot] = 0
        if not self._mask.any():
            self._request.reset_state()
            self._mask = self._mask[:, :0]
        logits = self._run(batch.rows)
        return np.concatenate([wanted(row, logits[row.slot]) for row in batch.rows])

    def close(self) -> None:
        del self._request

    def _run(self, rows: tuple[StepRow, ...]) -> Floats:
        longest = max(len(row.ids) for row in rows)
        ids = np.zeros((SLOTS, longest), np.int64)
        places, valid = ids.copy(), ids.copy()
        for row in rows:
            length = len(row.ids)
            ids[row.slot, :length] = row.ids
            places[row.slot, :length] = range(row.start, row.start + length)
            valid[row.slot, :length] = 1
        self._mask = np.concatenate((self._mask, valid), axis=1)
        inputs = {
            "input_ids": ids,
            "attention_mask": self._mask,
            "position_ids": places,
            "beam_idx": np.arange(SLOTS, dtype=np.int32),
        }
        return np.array(self._request.infer(inputs)["logits"], np.float32)


def wanted(row: StepRow, logits: Floats) -> Floats:
    """Of the row's own ids, without the padding: shape (ids that asked, vocabulary)."""
    own = logits[: len(row.ids)]
    return own[{"all": 0, "last": len(own) - 1, "none": len(own)}[row.logits] :]


def compile_graph(directory: Path, precision: str) -> Any:
    """Raises ModelError when OpenVINO cannot open it."""
    hint = "bf16" if precision == "bf16" else "f32"
    settings = {"INFERENCE_PRECISION_HINT": hint, "KV_CACHE_PRECISION": hint}
    try:
        return ov.Core().compile_model(directory / MODEL, "CPU", settings)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot open {directory / MODEL}: {error}") from error
