"""Step engines: what ``forward`` computes, however the ids are cut into steps and rows."""

from __future__ import annotations

import itertools

import numpy as np

from enginebay_core.api import StepRow
from enginebay_core.testing.bench import Bench
from enginebay_core.testing.expect import expect, expect_close
from enginebay_core.testing.marks import step_engines
from enginebay_core.testing.material import random_ids


class Stepping:
    @step_engines
    def test_spec_is_sane(self, bench: Bench) -> None:
        """``spec`` can be obeyed: room for a prompt and an answer, ids for the whole tokenizer.

        A failure usually means a spec filled from the wrong field of the checkpoint's config.
        Repair: ``vocab_size`` is the width of the logits, ``max_length`` counts ids of prompt and
        output together, ``kv_bytes`` is all memory set aside for KV.
        """
        spec = bench.direct.spec
        expect(spec.max_sequences >= 1, f"max_sequences is {spec.max_sequences!r}, below 1")
        expect(spec.context_length >= 2, f"context_length is {spec.context_length!r}, below 2")
        expect(spec.kv_grain >= 0, f"kv_grain is {spec.kv_grain!r}, below 0")
        expect(spec.rewind in ("any", "none"), f"rewind is {spec.rewind!r}")
        expect(spec.batching in ("mixed", "chunk", "single"), f"batching is {spec.batching!r}")
        highest = max(bench.tokenizer.control.values(), default=0)
        expect(
            highest < spec.vocab_size,
            f"the tokenizer has the id {highest}, the engine's ids end at {spec.vocab_size - 1}",
        )

    @step_engines
    def test_earlier_ids_matter(self, bench: Bench) -> None:
        """Another id earlier in the text changes the logits at its end.

        A failure usually means that attention sees the newest id alone: KV is not written, or not
        read. Repair: write keys and values at ``start, start + 1, …`` of the row's slot before
        the queries read the slot from 0 to the row's end. (Without this every other comparison
        would pass by accident.)
        """
        ids = random_ids(bench, 12)
        direct = bench.direct
        base = direct.replay(0, ids[:8], ids[8:])[-1:]
        for place in (1, 7):
            changed = [*ids[:place], (ids[place] + 1) % direct.spec.vocab_size, *ids[place + 1 :]]
            other = direct.replay(0, changed[:8], changed[8:])[-1:]
            gap = float(np.abs(np.nan_to_num(base) - np.nan_to_num(other)).max())
            expect(gap > 0, f"another id at position {place} of 12 changed no logit at the end")

    @step_engines
    def test_decoding_equals_prefilling(self, bench: Bench) -> None:
        """A text run id by id gives the logits of the same text run at once.

        A failure usually means positions that are off by one in one of the two ways, or a causal
        mask that lets a prompt's ids see later ones. Repair: take positions from the row alone,
        ``start, start + 1, …``, and the mask from positions.
        """
        ids = random_ids(bench, 24)
        direct = bench.direct
        whole = direct.fill(0, ids, logits="all")
        one_by_one = direct.replay(0, ids[:1], ids[1:])
        expect_close(one_by_one, whole, direct.bound(whole), "id by id, against all at once")

    @step_engines
    def test_chunks_equal_the_whole_prompt(self, bench: Bench) -> None:
        """A prompt run in chunks of any size leaves the same KV as run at once.

        A failure usually means that a chunk's positions start at 0 instead of ``row.start``, that
        its mask forgets what lies before the chunk, or that the last id of a chunk without logits
        is not written. Repair: positions and mask from ``row.start``; write KV for all ids of a
        row, whatever ``row.logits`` says.
        """
        direct = bench.direct
        if direct.spec.batching == "single":
            bench.skip("batching is 'single': prompts come whole")
        ids = random_ids(bench, 40)
        whole = direct.replay(0, ids[:37], ids[37:])
        bound = direct.bound(whole)
        for cuts in ([1], [36], [12, 24], [5, 6, 7, 30]):
            borders = [0, *cuts, 37]
            for start, end in itertools.pairwise(borders):
                last = direct.fill(0, ids[start:end], start, "last" if end == 37 else "none")
            rest = np.concatenate([last, direct.decode(0, ids[37:], 37)])
            expect_close(rest, whole, bound, f"prompt of 37 ids cut at {cuts!r}, against uncut")

    @step_engines
    def test_all_logits_equal_each_last(self, bench: Bench) -> None:
        """``logits="all"`` gives, for each id, what ``logits="last"`` gives for a row that ends
        there.

        A failure usually means that the first id's logits are returned instead of the last's, or
        that "all" starts one id late. Repair: "last" is the row's final id; "all" is one row of
        logits per id, in order.
        """
        ids = random_ids(bench, 9)
        direct = bench.direct
        everything = direct.fill(0, ids, logits="all")
        bound = direct.bound(everything)
        for end in range(1, len(ids) + 1):
            last = direct.fill(0, ids[:end])
            expect_close(last, everything[end - 1 : end], bound, f"last of {end} ids, against all")

    @step_engines
    def test_rows_keep_their_order(self, bench: Bench) -> None:
        """Logits come in the order of the rows, not of the slots, with no gap for rows that ask
        for none.

        A failure usually means that rows were sorted by slot or by length for the kernel and not
        put back. Repair: index the logits by the order in which rows asked for them.
        """
        direct = bench.direct
        count = min(direct.spec.max_sequences, 4)
        if count < 2:
            bench.skip("max_sequences is 1: there is one row")
        texts = [random_ids(bench, 6 + 3 * slot, slot) for slot in range(count)]
        alone = [direct.replay(slot, text[:-1], text[-1:])[-1:] for slot, text in enumerate(texts)]
        backwards = list(reversed(range(count)))
        self._prefill_all(bench, texts)
        rows = [StepRow(s, len(texts[s]) - 1, (texts[s][-1],), "last") for s in backwards]
        rows[0] = StepRow(rows[0].slot, rows[0].start, rows[0].ids, "none")
        got = direct.step(*rows)
        expected = np.concatenate([alone[slot] for slot in backwards[1:]])
        expect_close(
            got, expected, direct.bound(expected), f"slots {backwards!r}, the first unasked"
        )

    @step_engines
    def test_a_batch_equals_each_alone(self, bench: Bench) -> None:
        """Texts that decode side by side get the logits that each gets alone.

        A failure usually means that a row reads the KV of another row, that positions or lengths
        of the longest row are used for all, or that padding takes part in attention. Repair: each
        row attends to its own slot from 0 to its own end, nothing else.
        """
        direct = bench.direct
        count = min(direct.spec.max_sequences, 8)
        texts = [random_ids(bench, 10 + 5 * slot, 40 + slot) for slot in range(count)]
        outputs = [random_ids(bench, 8, 60 + slot) for slot in range(count)]
        pairs = list(zip(texts, outputs, strict=True))
        alone = [direct.replay(0, text, output)[1:] for text, output in pairs]
        self._prefill_all(bench, texts, whole=True)
        for index in range(8):
            rows = [
                StepRow(slot, len(text) + index, (output[index],), "last")
                for slot, (text, output) in enumerate(pairs)
            ]
            expected = np.stack([logits[index] for logits in alone])
            got = direct.step(*rows)
            expect_close(got, expected, direct.bound(expected), f"{count} together, step {index}")

    @step_engines
    def test_mixed_steps_equal_apart(self, bench: Bench) -> None:
        """Decode rows and prefill chunks in one step give what they give apart.

        A failure usually means that ragged rows are padded or packed wrongly: a chunk's ids run
        over into the next row, or the decode row's position is the chunk's. Repair: build
        positions and cumulative lengths row by row; or declare ``batching="chunk"``.
        """
        direct = bench.direct
        if direct.spec.batching != "mixed" or direct.spec.max_sequences < 2:
            bench.skip("mixed steps are not claimed, or there is one slot")
        old, new = random_ids(bench, 14, 70), random_ids(bench, 21, 71)
        decoded = direct.replay(0, old[:-1], old[-1:])[-1:]
        prefilled = direct.fill(1, new)
        direct.fill(0, old[:-1], logits="none")
        direct.fill(1, new[:8], logits="none")
        rows = (StepRow(1, 8, tuple(new[8:]), "last"), StepRow(0, 13, (old[-1],), "last"))
        expected = np.concatenate([prefilled, decoded])
        got = direct.step(*rows)
        expect_close(got, expected, direct.bound(expected), "a chunk and a decode row in one step")

    def _prefill_all(self, bench: Bench, texts: list[list[int]], *, whole: bool = False) -> None:
        """Slot i holds texts[i], without its last id unless ``whole``."""
        direct = bench.direct
        rows = [
            StepRow(slot, 0, tuple(text if whole else text[:-1]), "none")
            for slot, text in enumerate(texts)
        ]
        steps = [[row] for row in rows] if direct.spec.batching == "single" else [rows]
        for step in steps:
            direct.step(*step)
