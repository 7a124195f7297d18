"""The step protocol over slots in place: rows, passes, operations, precisions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enginebay_core.api import CopyPrefix, Free, KvOperation, Rewind, StepBatch, StepEngine, StepRow
from enginebay_core.plugins import load_backend
from enginebay_onnx import OnnxOptions
from enginebay_onnx.device_slots import DeviceSlots
from enginebay_onnx.loading import read_shape
from enginebay_onnx.session import open_session
from enginebay_onnx.slot_engine import WORTH_SPANNING, SlotEngine, decode_spans

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed: backends/onnx[cpu]")

Load = Callable[..., Any]

FIRST = tuple(range(300, 340))
SECOND = tuple(range(900, 870, -1))
NOISE = 2e-4
"""Float32 sums in another order; the logits themselves span tens."""


def run(engine: StepEngine, *rows: StepRow, operations: tuple[KvOperation, ...] = ()) -> Any:
    return engine.forward(StepBatch(operations, rows))


def whole(engine: StepEngine, ids: tuple[int, ...], slot: int = 3) -> Any:
    return run(engine, StepRow(slot, 0, ids, "all"))


def difference(first: Any, second: Any) -> float:
    assert first.shape == second.shape
    return float(abs(first - second).max())


@pytest.fixture(scope="module")
def expected(pocket: Path) -> dict[tuple[int, ...], Any]:
    """What the numpy engine says."""
    backend = load_backend("numpy")
    engine: Any = backend.load(pocket, backend.options.model_validate({}), lambda *_: None)
    return {ids: whole(engine, ids) for ids in (FIRST, SECOND)}


def test_is_a_step_engine(load: Load) -> None:
    engine: StepEngine = load(max_sequences=3)
    spec = engine.spec
    assert (spec.vocab_size, spec.max_length, spec.max_sequences) == (4096, 160, 3)
    assert spec.kv_bytes_per_token == 4 * 2 * 2 * 64 * 4
    assert spec.kv_bytes == 3 * 160 * spec.kv_bytes_per_token
    assert (spec.batching, spec.rewind, spec.kv_grain) == ("chunk", "any", 1)
    assert dict(spec.facts) == {
        "device": "cpu",
        "dtype": "float32",
        "kv": "3 slots of 160 ids, in place, GroupQueryAttention",
    }


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("fp16", 1e-2), ("int8", 2e-1)])
def test_equals_the_numpy_engine(
    load: Load, expected: dict[tuple[int, ...], Any], precision: str, bound: float
) -> None:
    engine = load(precision=precision)
    for ids, logits in expected.items():
        assert len({int(best) for best in logits.argmax(axis=1)}) >= 8
        assert difference(whole(engine, ids), logits) < bound * abs(logits).max()


def test_each_row_gets_the_logits_it_asked_for(load: Load) -> None:
    engine = load()
    expected = whole(engine, FIRST)
    logits = run(
        engine,
        StepRow(0, 0, FIRST[:9], "none"),
        StepRow(2, 0, FIRST[:9], "last"),
        StepRow(1, 0, FIRST[:5], "all"),
    )
    assert difference(logits, expected[[8, 0, 1, 2, 3, 4]]) < NOISE
    ones = run(engine, StepRow(2, 9, FIRST[9:10], "all"), StepRow(0, 9, FIRST[9:10], "none"))
    assert difference(ones, expected[9:10]) < NOISE
    assert run(engine, StepRow(0, 10, FIRST[10:11], "none")).shape == (0, 4096)


def test_passes_and_single_ids_equal_the_whole_prompt(load: Load) -> None:
    engine = load()
    expected = whole(engine, FIRST)
    engine._pass = 7
    assert difference(whole(engine, FIRST, slot=0), expected) < NOISE
    last = run(engine, StepRow(1, 0, FIRST))
    assert difference(last, expected[-1:]) < NOISE
    singles = [run(engine, StepRow(2, place, (one,))) for place, one in enumerate(FIRST)]
    assert difference(np.concatenate(singles), expected) < NOISE


def test_ragged_rows_with_others_between_them(load: Load) -> None:
    engine = load(max_sequences=24)
    first, second = whole(engine, FIRST), whole(engine, SECOND)
    slots = (22, 1, 4, 20)
    texts = (FIRST, SECOND, FIRST, SECOND)
    for slot, text, length in zip(slots, texts, (9, 20, 3, 12), strict=True):
        run(engine, StepRow(slot, 0, text[:length], "none"))
    for step in range(4):
        starts = (9 + step, 20 + step, 3 + step, 12 + step)
        rows = [
            StepRow(slot, start, (text[start],))
            for slot, start, text in zip(slots, starts, texts, strict=True)
        ]
        logits = run(engine, *rows)
        wanted = [first[starts[0]], second[starts[1]], first[starts[2]], second[starts[3]]]
        assert difference(logits, np.stack(wanted)) < NOISE


def test_rows_far_apart_may_ask_for_nothing(load: Load) -> None:
    engine = load(max_sequences=12)
    expected = whole(engine, FIRST)
    rows = [StepRow(slot, 0, FIRST[:1], "none") for slot in (11, 0)]
    assert run(engine, *rows).shape == (0, 4096)
    both = run(engine, StepRow(11, 1, FIRST[1:2], "none"), StepRow(0, 1, FIRST[1:2]))
    assert difference(both, expected[1:2]) < NOISE


def test_rows_far_apart_run_apart() -> None:
    rows = [StepRow(slot, 5, (1,)) for slot in (30, 1, 1 + WORTH_SPANNING, 3)]
    rows.append(StepRow(2, 0, (1, 2)))
    assert [[row.slot for row in span] for span in decode_spans(rows)] == [[1, 9, 3], [30]]


def test_parked_slots_do_not_change_by_a_byte(load: Load) -> None:
    engine = load()
    full = tuple(range(500, 660))
    run(engine, StepRow(1, 0, full, "none"))  # to the very end of its slot
    before = {name: array.copy() for name, array in engine._slots.arrays.items()}
    run(engine, StepRow(0, 0, SECOND), StepRow(3, 0, FIRST), operations=(Free(0), Rewind(3, 0)))
    for place in range(30, 34):
        run(engine, StepRow(0, place, (5,)), StepRow(3, place + 10, (7,)))
    for name, array in engine._slots.arrays.items():
        assert array[1].tobytes() == before[name][1].tobytes()
        assert not array[2].any()
        assert not array[:, :, 160].any()


def test_a_row_reads_nothing_past_its_end(load: Load) -> None:
    engine = load()
    expected = whole(engine, FIRST)[9:10]
    for array in engine._slots.arrays.values():
        array[:] = np.nan
    run(engine, StepRow(0, 0, FIRST[:9], "none"), StepRow(2, 0, SECOND[:3], "none"))
    rows = (StepRow(0, 9, FIRST[9:10]), StepRow(2, 3, SECOND[3:4], "none"))
    assert difference(run(engine, *rows), expected) < NOISE


def test_copies_and_rewinds_continue_as_the_source_would(load: Load) -> None:
    engine = load()
    expected = whole(engine, FIRST[:12] + SECOND)[12:]
    run(engine, StepRow(0, 0, FIRST, "none"))
    row = StepRow(2, 12, SECOND, "all")
    logits = run(engine, row, operations=(Free(2), CopyPrefix(source=0, target=2, length=12)))
    assert difference(logits, expected) < NOISE
    rewound = run(engine, StepRow(0, 12, SECOND, "all"), operations=(Rewind(0, 12),))
    assert difference(rewound, expected) < NOISE


def test_int8_does_not_depend_on_neighbours(load: Load) -> None:
    engine = load(precision="int8")
    for slot in (0, 1):
        run(engine, StepRow(slot, 0, FIRST[:9], "none"), StepRow(3, 0, SECOND[:20], "none"))
    alone = run(engine, StepRow(0, 9, FIRST[9:10]))
    together = run(engine, StepRow(1, 9, FIRST[9:10]), StepRow(3, 20, SECOND[20:21]))
    assert difference(together[:1], alone) < NOISE


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_slots_in_device_memory_do_the_same(
    load: Load, written: Callable[[Path, str], Path], pocket: Path, precision: str
) -> None:
    """The processor stands in for the accelerator: bindings, copies and addresses are the same."""
    host = load(precision=precision)
    options = OnnxOptions(threads=1)
    session = open_session(written(pocket, precision) / "model.onnx", options)
    slots = DeviceSlots(read_shape(session), 4, 160, options)
    device = SlotEngine(session, slots, host.spec, heads=4)
    for engine in (host, device):
        run(engine, StepRow(1, 0, FIRST, "none"))
    copy = (CopyPrefix(source=1, target=3, length=12),)
    steps: list[tuple[tuple[StepRow, ...], tuple[KvOperation, ...]]] = [
        ((StepRow(3, 12, SECOND[:8], "all"),), copy),
        ((StepRow(3, 20, (7,)), StepRow(1, 40, (9,))), ()),
    ]
    for rows, operations in steps:
        one, other = (run(each, *rows, operations=operations) for each in (host, device))
        assert one.tobytes() == other.tobytes()
    device.close()


def test_close_lets_go_of_everything(load: Load) -> None:
    engine = load()
    engine.close()
    assert not {"_session", "_slots"} & set(vars(engine))
