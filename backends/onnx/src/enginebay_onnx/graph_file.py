"""Writes an ONNX model whose weights lie beside it in one file, each as soon as it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from enginebay_core.export import Array

MODEL: Final = "model.onnx"
WEIGHTS: Final = "model.weights"
OPSET: Final = 21
IR_VERSION: Final = 10
INLINE: Final = 4096
"""Bytes up to which a tensor stays in the model file."""
ALIGNMENT: Final = 4096
"""Weights begin at whole pages, so that a runtime can map them where they lie."""
CONTRIB: Final = "com.microsoft"


class GraphFile:
    """A graph that grows node by node; the same value under the same name throughout.

    Use as a context manager: leaving it writes the model file, unless an error is on its way.
    ``facts`` go into the model's metadata, where whoever opens it reads them.
    """

    def __init__(self, directory: Path, facts: Mapping[str, str]) -> None:
        self._directory, self._facts = directory, facts
        self._weights = (directory / WEIGHTS).open("wb")
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._names = 0

    def __enter__(self) -> GraphFile:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._weights.close()
        if kind is None:
            self._write()

    def input(self, name: str, dtype: Any, shape: Sequence[int | str]) -> str:
        self._inputs.append(_value(name, dtype, shape))
        return name

    def output(self, name: str, dtype: Any, shape: Sequence[int | str]) -> None:
        """Declares a value that some node makes under this name."""
        self._outputs.append(_value(name, dtype, shape))

    def weight(self, array: Array, name: str = "") -> str:
        """Written out at once; the array may be dropped."""
        tensor = TensorProto()
        tensor.name = name or self.fresh("weight")
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.dims.extend(array.shape)
        if array.nbytes <= INLINE:
            tensor.raw_data = array.tobytes()
        else:
            self._store(tensor, array)
        self._tensors.append(tensor)
        return str(tensor.name)

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: int | Sequence[str] = 1,
        domain: str = "",
        **attributes: Any,
    ) -> tuple[str, ...]:
        """The names of its outputs: those given, or as many new ones. ``""`` is an absent one."""
        if isinstance(outputs, int):
            outputs = [self.fresh(kind) for _ in range(outputs)]
        self._nodes.append(
            helper.make_node(
                kind, inputs, outputs, self.fresh(f"node.{kind}"), domain=domain, **attributes
            )
        )
        return tuple(outputs)

    def one(self, kind: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        """A node with a single output; its name."""
        return self.node(kind, inputs, domain=domain, **attributes)[0]

    def shape(self, *sizes: int) -> str:
        """A constant shape, as Reshape and others take it."""
        return self.weight(np.array(sizes, np.int64))

    def fresh(self, kind: str) -> str:
        """A name that nothing has yet."""
        self._names += 1
        return f"{kind}.{self._names}"

    def _store(self, tensor: TensorProto, array: Array) -> None:
        self._weights.write(bytes(-self._weights.tell() % ALIGNMENT))
        place = {"location": WEIGHTS, "offset": self._weights.tell(), "length": array.nbytes}
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._weights.write(np.ascontiguousarray(array).data)

    def _write(self) -> None:
        graph = helper.make_graph(
            self._nodes, "decoder", self._inputs, self._outputs, self._tensors
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="enginebay-onnx"
        )
        helper.set_model_props(model, dict(self._facts))
        (self._directory / MODEL).write_bytes(model.SerializeToString())


def _value(name: str, dtype: Any, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )
