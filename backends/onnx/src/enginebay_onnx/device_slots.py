"""Keys and values of every slot, in an accelerator's memory."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from enginebay_core.api import ModelError
from enginebay_onnx.kv_slots import KvShape
from enginebay_onnx.options import OnnxOptions
from enginebay_onnx.session import import_runtime, make_session

FIRST: Final = 0
"""The device's number."""


class DeviceSlots:
    """As HostSlots, but what ``copy`` copies is whole slots, by the device itself: ONNX Runtime's
    Python side moves nothing within a device, so a graph of one Identity does.
    """

    def __init__(self, shape: KvShape, slots: int, length: int, options: OnnxOptions) -> None:
        self.length, self._device = length, options.provider
        self._dtype = shape.dtype
        runtime = import_runtime()
        self._shapes = {
            name: (slots, heads, length + 1, dim) for name, (heads, dim) in shape.sizes.items()
        }
        try:
            self._values: dict[str, Any] = {
                name: runtime.OrtValue.ortvalue_from_numpy(
                    np.zeros(whole, shape.dtype), self._device, FIRST
                )
                for name, whole in self._shapes.items()
            }
        except Exception as error:  # ONNX Runtime's errors share no base of their own
            raise ModelError(
                f"the KV of {slots} sequences of {length} ids does not fit on {self._device!r} "
                f"({error}); lower options.max_sequences or options.max_length"
            ) from error
        self._copier = make_session(identity_graph(shape.dtype), options)

    def copy(self, source: int, target: int, length: int) -> None:
        """Make the first ``length`` entries of slot ``target`` those of ``source``."""
        for name in self._values:
            binding = self._copier.io_binding()
            binding.bind_input("source", *self._place(name, source, source + 1))
            binding.bind_output("target", *self._place(name, target, target + 1))
            self._copier.run_with_iobinding(binding)

    def bind(self, session: Any, low: int, high: int) -> Any:
        """A new binding of the slots from ``low`` up to ``high`` as both past and present."""
        binding = session.io_binding()
        for name in self._values:
            place = self._place(name, low, high)
            binding.bind_input(f"past.{name}", *place)
            binding.bind_output(f"present.{name}", *place)
        return binding

    def _place(self, name: str, low: int, high: int) -> tuple[Any, ...]:
        """Of some slots, as bindings take it: device, number, type, shape, address."""
        _, *each = self._shapes[name]
        stride = int(np.prod(each)) * self._dtype.itemsize
        start = self._values[name].data_ptr() + low * stride
        return self._device, FIRST, self._dtype.type, (high - low, *each), start


def identity_graph(dtype: np.dtype[Any]) -> bytes:
    from onnx import helper  # noqa: PLC0415 - only accelerators need it

    kind = helper.np_dtype_to_tensor_dtype(dtype)
    shape = ["slots", "heads", "room", "dim"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["source"], ["target"])],
        "copy",
        [helper.make_tensor_value_info("source", kind, shape)],
        [helper.make_tensor_value_info("target", kind, shape)],
    )
    opsets = [helper.make_opsetid("", 21)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return model
