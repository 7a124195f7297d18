"""An exported graph, run by Optimum's ``ORTModelForCausalLM``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from enginebay_core.api import ModelError

GRAPH: Final = "model.onnx"
ONLY_ERRORS: Final = 3


class GraphModel:
    """``loaded`` is the ``ORTModelForCausalLM``."""

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded

    def run(
        self, feed: Mapping[str, npt.NDArray[Any]], past: list[npt.NDArray[Any]]
    ) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[Any]]]:
        """``feed``: input_ids and position_ids (rows, ids), attention_mask (rows, past + ids).
        ``past``: key and value of each layer in turn, (rows, heads, past, dim).

        Logits (rows, ids, vocabulary), and the same list, longer by ``ids``.
        """
        pairs = tuple(zip(past[::2], past[1::2], strict=True))
        said = self._loaded.forward(**feed, past_key_values=pairs, use_cache=True)
        return said.logits, [array for pair in said.past_key_values for array in pair]


def load_graph(directory: Path, threads: int | None) -> Any:
    """Without Optimum's IO binding, which takes every head for ``hidden_size / heads`` wide. Raises
    ModelError when ONNX Runtime cannot open the graph.
    """
    import onnxruntime  # noqa: PLC0415 - heavy
    from optimum.onnxruntime import ORTModelForCausalLM  # noqa: PLC0415 - heavy
    from transformers import AutoConfig  # noqa: PLC0415 - heavy

    if not (directory / GRAPH).is_file():
        raise ModelError(f"the export has no {GRAPH}; export the checkpoint again")
    onnxruntime.disable_telemetry_events()  # on by default in some builds
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = ONLY_ERRORS
    settings.intra_op_num_threads = threads or 0
    try:
        session = onnxruntime.InferenceSession(
            str(directory / GRAPH), settings, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors share no base of their own
        raise ModelError(f"ONNX Runtime cannot open {directory / GRAPH}: {error}") from error
    config: Any = AutoConfig.from_pretrained(directory, local_files_only=True)
    return ORTModelForCausalLM(config=config, session=session, use_io_binding=False)
