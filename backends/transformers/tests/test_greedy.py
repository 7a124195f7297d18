"""Greedy text equals ``model.generate``, however the steps are cut and shared."""

from __future__ import annotations

from typing import Any

import torch

from enginebay_core.api import CopyPrefix, Free, Rewind, StepBatch, StepRow
from enginebay_transformers.slot_engine import SlotEngine


def test_the_witness_can_witness(decoder: str, lab: Any) -> None:
    expected = lab.reference(decoder)
    jobs = [lab.job(prompt, slot=i) for i, prompt in enumerate(lab.prompts)]
    lab.run(lab.load(decoder), jobs)
    for output, logits, found in zip(expected.outputs, expected.logits, jobs, strict=True):
        noise = (torch.stack(found.logits) - logits).abs().max()
        best = logits.topk(2).values
        assert len(set(output)) >= 8
        assert (best[:, 0] - best[:, 1]).min() >= 100 * noise


def test_alone(decoder: str, lab: Any) -> None:
    engine = lab.load(decoder, max_sequences=1)
    assert isinstance(engine, SlotEngine)
    for prompt, expected in zip(lab.prompts, lab.reference(decoder).outputs, strict=True):
        assert lab.run(engine, [lab.job(prompt)]) == [expected]


def test_neighbours_come_and_go(decoder: str, lab: Any) -> None:
    slots, joins = (5, 0, 2), (0, 3, 7)
    jobs = [lab.job(*each) for each in zip(lab.prompts, slots, joins, strict=True)]
    late = [lab.job(lab.prompts[0], slot=1, joins=9), lab.job(lab.prompts[2], slot=7, joins=34)]
    expected = lab.reference(decoder).outputs
    assert lab.run(lab.load(decoder), jobs + late) == [*expected, expected[0], expected[2]]


def test_prompts_in_chunks(decoder: str, lab: Any) -> None:
    jobs = [lab.job(prompt, slot=i, joins=i, chunk=4 + i) for i, prompt in enumerate(lab.prompts)]
    assert lab.run(lab.load(decoder), jobs) == list(lab.reference(decoder).outputs)


def test_a_copied_prefix_and_a_parked_sequence(decoder: str, lab: Any) -> None:
    engine, longest = lab.load(decoder), lab.prompts[2]
    expected = lab.reference(decoder).outputs[2]
    first = lab.job(longest, slot=1)
    assert lab.run(engine, [first]) == [expected]
    copied = lab.job(longest, slot=4, cached=13, operations=(CopyPrefix(1, 4, 13),))
    assert lab.run(engine, [copied, lab.job(lab.prompts[0], slot=2)])[0] == expected
    rewound = lab.job(longest, slot=1, cached=20, operations=(Free(4), Rewind(1, 20)))
    assert lab.run(engine, [rewound]) == [expected]


def test_one_scrambled_entry_shows(decoder: str, lab: Any) -> None:
    engine, longest = lab.load(decoder), lab.prompts[2]
    engine.forward(StepBatch((), (StepRow(3, 0, longest),)))
    engine._cache.slot_layers[0].values[3, :, 18] *= -4
    scrambled = lab.job(longest, slot=3, cached=20)
    assert lab.run(engine, [scrambled]) != [lab.reference(decoder).outputs[2]]


def test_all_logits_of_a_row_and_none(lab: Any) -> None:
    engine, prompt = lab.load("qwen3"), lab.prompts[1]
    every = engine.forward(StepBatch((), (StepRow(0, 0, prompt, "all"),)))
    last = engine.forward(StepBatch((), (StepRow(1, 0, prompt, "last"),)))
    none = engine.forward(StepBatch((), (StepRow(2, 0, prompt, "none"),)))
    assert every.shape == (len(prompt), engine.spec.vocab_size)
    assert none.shape == (0, engine.spec.vocab_size)
    torch.testing.assert_close(every[-1:], last)
    torch.testing.assert_close(last, lab.reference("qwen3").logits[1][:1])


def test_logits_come_in_the_order_of_the_rows(lab: Any) -> None:
    engine = lab.load("llama")
    engine.forward(StepBatch((), (StepRow(6, 0, lab.prompts[1]), StepRow(2, 0, lab.prompts[0]))))
    rows = (StepRow(4, 0, lab.prompts[2]), StepRow(6, 11, (9,)), StepRow(2, 3, (5,)))
    together = engine.forward(StepBatch((), rows))
    apart = torch.cat([engine.forward(StepBatch((), (row,))) for row in rows])
    torch.testing.assert_close(together, apart)


def test_eager_attention_is_offered_too(lab: Any) -> None:
    engine = lab.load("qwen3", attn_implementation="eager")
    assert engine.spec.facts["attention"] == "eager"
    jobs = [lab.job(prompt, slot=2 * i, chunk=5) for i, prompt in enumerate(lab.prompts)]
    assert lab.run(engine, jobs) == list(lab.reference("qwen3").outputs)


def test_bfloat16_stays_near(lab: Any) -> None:
    engine = lab.load("qwen3", dtype="bfloat16")
    assert engine.spec.facts["dtype"] == "bfloat16"
    found = engine.forward(StepBatch((), (StepRow(0, 0, lab.prompts[2]),))).float()
    expected = lab.reference("qwen3").logits[2][:1]
    assert (found - expected).abs().max() < 0.1 * expected.std()


def test_a_sequence_that_overflowed_spoils_no_other(lab: Any) -> None:
    engine = lab.load("llama")
    engine.forward(StepBatch((), (StepRow(0, 0, lab.prompts[2]),)))
    for layer in engine._cache.slot_layers:
        layer.keys[0, :, :21] = torch.nan
        layer.values[0, :, :21] = torch.nan
    jobs = [lab.job(lab.prompts[0], slot=0), lab.job(lab.prompts[2], slot=1)]
    assert lab.run(engine, jobs) == [lab.reference("llama").outputs[i] for i in (0, 2)]
