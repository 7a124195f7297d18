"""The step protocol: rows, slots, operations."""

import numpy as np

from enginebay_core.api import (
    CopyPrefix,
    Free,
    KvOperation,
    Rewind,
    SampleRow,
    SamplingParams,
    StepBatch,
    StepEngine,
    StepRow,
)
from enginebay_numpy.checkpoint import Floats
from enginebay_numpy.engine import NumpyEngine

FIRST = tuple(range(3, 33))
SECOND = tuple(range(60, 43, -1))
NOISE = 2e-5
"""Float32 sums in another order; the logits themselves span tens."""


def run(engine: NumpyEngine, *rows: StepRow, operations: tuple[KvOperation, ...] = ()) -> Floats:
    return engine.forward(StepBatch(operations, rows))


def whole(engine: NumpyEngine, ids: tuple[int, ...], slot: int = 3) -> Floats:
    return run(engine, StepRow(slot, 0, ids, "all"))


def difference(first: Floats, second: Floats) -> float:
    assert first.shape == second.shape
    return float(abs(first - second).max())


def test_is_a_step_engine(engine: NumpyEngine) -> None:
    checked: StepEngine = engine
    spec = checked.spec
    assert (spec.vocab_size, spec.max_length, spec.max_sequences) == (97, 128, 4)
    assert spec.kv_bytes_per_token == 2 * 2 * 2 * 8 * 4
    assert spec.kv_bytes == 4 * 128 * spec.kv_bytes_per_token


def test_logits_tell_positions_and_ids_apart(engine: NumpyEngine) -> None:
    logits = whole(engine, FIRST)
    assert len({int(best) for best in logits.argmax(axis=1)}) >= 8
    assert difference(logits, whole(engine, FIRST[1:2] + FIRST[:1] + FIRST[2:])) > 0.1


def test_each_row_gets_the_logits_it_asked_for(engine: NumpyEngine) -> None:
    expected = whole(engine, FIRST)
    logits = run(
        engine,
        StepRow(0, 0, FIRST[:9], "none"),
        StepRow(1, 0, FIRST[:5], "all"),
        StepRow(2, 0, FIRST[:9], "last"),
    )
    assert difference(logits, np.concatenate([expected[:5], expected[8:9]])) < NOISE


def test_chunks_and_single_ids_equal_the_whole_prompt(engine: NumpyEngine) -> None:
    expected = whole(engine, FIRST)
    ends = [7, 8, 20, *range(21, 31)]
    parts = [
        run(engine, StepRow(0, start, FIRST[start:end], "all"))
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    assert difference(np.concatenate(parts), expected) < NOISE


def test_a_mixed_batch_equals_each_row_alone(engine: NumpyEngine) -> None:
    first, second = whole(engine, FIRST), whole(engine, SECOND)
    run(engine, StepRow(0, 0, FIRST[:20], "none"), StepRow(1, 0, SECOND[:6], "none"))
    logits = run(
        engine,
        StepRow(1, 6, SECOND[6:], "all"),
        StepRow(2, 0, FIRST[:4], "last"),
        StepRow(0, 20, FIRST[20:21], "last"),
    )
    assert difference(logits, np.concatenate([second[6:], first[3:4], first[20:21]])) < NOISE


def test_parked_slots_do_not_change_by_a_byte(engine: NumpyEngine) -> None:
    run(engine, StepRow(1, 0, FIRST, "none"), StepRow(3, 0, SECOND, "none"))
    before = engine.cache.copy()
    run(engine, StepRow(0, 0, SECOND), StepRow(2, 0, FIRST), operations=(Free(0), Rewind(2, 0)))
    run(engine, StepRow(0, len(SECOND), (5,)))
    for slot in (1, 3):
        assert engine.cache[:, :, slot].tobytes() == before[:, :, slot].tobytes()
    assert engine.cache[:, :, 0].any()


def test_a_row_reads_nothing_past_its_end(engine: NumpyEngine) -> None:
    expected = whole(engine, FIRST)[9:10]
    engine.cache[:] = np.nan
    run(engine, StepRow(0, 0, FIRST[:9], "none"))
    assert difference(run(engine, StepRow(0, 9, FIRST[9:10])), expected) < NOISE


def test_copy_prefix_continues_as_the_source_would(engine: NumpyEngine) -> None:
    expected = whole(engine, FIRST[:12] + SECOND)
    run(engine, StepRow(0, 0, FIRST, "none"))
    source = engine.cache[:, :, 0].copy()
    row = StepRow(2, 12, SECOND, "all")
    logits = run(engine, row, operations=(Free(2), CopyPrefix(source=0, target=2, length=12)))
    assert difference(logits, expected[12:]) < NOISE
    assert engine.cache[:, :, 0].tobytes() == source.tobytes()


def test_rewound_slot_forgets_what_it_lost(engine: NumpyEngine) -> None:
    expected = whole(engine, FIRST[:10] + SECOND)
    run(engine, StepRow(0, 0, FIRST, "none"))
    logits = run(engine, StepRow(0, 10, SECOND, "all"), operations=(Rewind(0, 10),))
    assert difference(logits, expected[10:]) < NOISE


def test_samples_by_the_reference_rules(engine: NumpyEngine) -> None:
    logits = whole(engine, FIRST[:6])
    row = SampleRow(4, SamplingParams(temperature=0, seed=1), FIRST[:5], ())
    assert [sampled.id for sampled in engine.sample(logits, [row])] == [int(logits[4].argmax())]


def test_extreme_activations_neither_warn_nor_break(engine: NumpyEngine) -> None:
    engine.weights.layers[0].gate_up[:] *= 1e4
    assert np.isfinite(whole(engine, FIRST)).all()


def test_close_lets_go_of_the_memory(engine: NumpyEngine) -> None:
    engine.close()
    assert not {"weights", "cache", "turns"} & set(vars(engine))
