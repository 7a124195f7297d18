"""Step engines: what stays in a KV slot, and what KV operations do to it."""

from __future__ import annotations

import numpy as np

from enginebay_core.api import CopyPrefix, KvOperation, Rewind, StepRow
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.direct import Direct
from enginebay_core.testing.expect import expect_close
from enginebay_core.testing.marks import step_engines
from enginebay_core.testing.material import random_ids


class Cache:
    @step_engines
    def test_parked_slots_do_not_change(self, bench: Bench) -> None:
        """A slot without a row keeps its text while others prefill and decode, whether it lies
        before, between or after theirs.

        A failure usually means that padding rows or idle rows write to a real slot, often at
        position 0 or at the longest row's position. Repair: point padding at scratch room of its
        own, one slot more than ``max_sequences``.
        """
        direct = slots_of(bench, 2)
        count = min(direct.spec.max_sequences, 4)
        texts = [random_ids(bench, 20, 100 + slot) for slot in range(count)]
        rests = [random_ids(bench, 4, 120 + slot) for slot in range(count)]
        for parked in range(count):
            expected = direct.replay(parked, texts[parked], rests[parked])
            direct.fill(parked, texts[parked], logits="none")
            for slot in range(count):
                if slot != parked:
                    direct.replay(slot, texts[slot], random_ids(bench, 12, 140 + slot))
            rest = direct.decode(parked, rests[parked], len(texts[parked]))
            what = f"slot {parked}, parked while others ran, then continued"
            expect_close(rest, expected[1:], direct.bound(expected), what)

    @step_engines
    def test_a_used_slot_is_as_new(self, bench: Bench) -> None:
        """What an earlier, longer text left in a slot cannot be seen by the next one.

        A failure usually means that attention reads the slot to its old length, or to the longest
        row's, instead of to this row's end. Repair: mask everything at and past ``start +
        len(ids)``; or wipe the slot on Free.
        """
        direct = bench.direct
        new, output = random_ids(bench, 10, 160), random_ids(bench, 5, 161)
        expected = direct.replay(0, new, output)
        direct.replay(0, random_ids(bench, 30, 162), random_ids(bench, 6, 163))
        first = direct.step(StepRow(0, 0, tuple(new), "last"), operations=direct.free(0))
        got = np.concatenate([first, direct.decode(0, output, len(new))])
        expect_close(got, expected, direct.bound(expected), "a short text after a long one")

    @step_engines
    def test_a_copied_prefix_equals_a_computed_one(self, bench: Bench) -> None:
        """After CopyPrefix the target continues as if it had run the prefix itself, and the
        source does not notice.

        A failure usually means that the copy is ignored, takes the wrong length or direction, or
        shares memory that the target then overwrites. Repair: copy the first ``length`` entries
        of keys and values of every layer, before the rows of the same step run.
        """
        direct = slots_of(bench, 2)
        grain = direct.spec.kv_grain
        if grain == 0 or 2 * grain + 16 > direct.spec.context_length:
            bench.skip("kv_grain is 0 or as long as the context: no prefix is shared")
        length = grain * -(-8 // grain)
        text, tail = random_ids(bench, length + 6, 180), random_ids(bench, 7, 181)
        branch = [*text[:length], *tail]
        source = direct.replay(1, text[:-1], text[-1:])[-1:]
        target = direct.replay(0, branch[:-1], branch[-1:])
        direct.fill(0, text[:-1], logits="none")
        direct.fill(1, random_ids(bench, 5, 182), logits="none")
        row = StepRow(1, length, tuple(tail[:-1]), "last")
        first = direct.step(row, operations=[CopyPrefix(0, 1, length)])
        got = np.concatenate([first, direct.decode(1, tail[-1:], len(branch) - 1)])
        expect_close(got, target, direct.bound(target), f"target of a copy of {length} ids")
        rest = direct.decode(0, text[-1:], len(text) - 1)
        expect_close(rest, source, direct.bound(source), "source of the copy, afterwards")

    @step_engines
    def test_a_rewound_slot_equals_a_fresh_one(self, bench: Bench) -> None:
        """After Rewind the slot continues as if the forgotten ids had never been.

        A failure usually means that entries past the cut still take part, or that Rewind cuts one
        id too many. Repair: keep exactly the first ``length`` entries; or declare
        ``rewind="none"`` when a recurrent state cannot go back.
        """
        direct = bench.direct
        if direct.spec.rewind == "none":
            bench.skip("rewind is 'none'")
        text, other = random_ids(bench, 20, 200), random_ids(bench, 6, 201)
        kept = 12
        expected = direct.replay(0, [*text[:kept], *other[:2]], other[2:])
        direct.fill(0, text, logits="none")
        row = StepRow(0, kept, tuple(other[:2]), "last")
        first = direct.step(row, operations=[Rewind(0, kept)])
        got = np.concatenate([first, direct.decode(0, other[2:], kept + 2)])
        expect_close(got, expected, direct.bound(expected), f"after a rewind to {kept} ids")

    @step_engines
    def test_operations_leave_neighbours_alone(self, bench: Bench) -> None:
        """Free, Rewind and CopyPrefix touch the slots they name and no other.

        A failure usually means an operation applied to the whole cache, or to a row number where
        a slot number was meant. Repair: index by ``operation.slot``, ``source`` and ``target``.
        """
        direct = slots_of(bench, 2)
        count = min(direct.spec.max_sequences, 4)
        texts = [random_ids(bench, 16, 220 + slot) for slot in range(count)]
        expected = [direct.replay(s, text[:-1], text[-1:])[-1:] for s, text in enumerate(texts)]
        for slot, text in enumerate(texts):
            direct.fill(slot, text[:-1], logits="none")
        last = count - 1
        for operation in operations_on(direct, last):
            row = StepRow(last, 0, tuple(texts[last][:3]), "none")
            direct.step(row, operations=[operation])
        for slot in range(last):
            rest = direct.decode(slot, texts[slot][-1:], 15)
            bound = direct.bound(expected[slot])
            expect_close(rest, expected[slot], bound, f"slot {slot}, after work on slot {last}")


def operations_on(direct: Direct, slot: int) -> list[KvOperation]:
    """Each operation that the engine claims, on ``slot``, which holds at least 3 ids."""
    grain = direct.spec.kv_grain
    copies = [CopyPrefix(0, slot, grain)] if 0 < grain <= 15 else []
    rewinds = [Rewind(slot, 2)] if direct.spec.rewind == "any" else []
    return [*direct.free(slot), *copies, *rewinds]


def slots_of(bench: Bench, count: int) -> Direct:
    direct = bench.direct
    if direct.spec.max_sequences < count:
        bench.skip(f"max_sequences is {direct.spec.max_sequences}: nothing lies beside a slot")
    return direct
