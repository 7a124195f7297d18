"""The model card, written beside the weights."""

from pathlib import Path

from enginebay_pocket.recipe.score import Score

_CARD = """---
license: apache-2.0
language: [zh, en]
library_name: transformers
pipeline_tag: text-generation
---
# Pocket

The demo model of EngineBay: about 3.8 million parameters in the Qwen3 architecture (4 layers, 256
wide, 4 heads, 2 of keys and values, context 2048, float16), with its own byte-level BPE tokenizer
of 4,096 pieces. It makes a server real on a machine without a network. It is not a useful
assistant.

What it does, in Chinese and English: greets, says what it is, says what EngineBay is and how to
use it, over several turns; thinks in `<think>` when `enable_thinking` is true (off by default);
calls a weather, calculator or clock tool that it is offered, and puts the result into words. To
anything else it answers that it is a tiny demo model and cannot do that.

## Training
From random weights, on conversations that the recipe writes from phrase tables; no other data.
`python -m enginebay_pocket.recipe train` repeats it: seeded, up to half an hour on two CPU cores.

## Score
`python -m enginebay_pocket.recipe score` answers held-out questions greedily in float32. No
training conversation holds any of these questions, city names, tool names or tool descriptions.
Answers must be right to the letter; a tool call must be well-formed, with the exact name and
arguments; an answer from a tool's result must hold its values.

{table}

## Limits
It knows nothing beyond its phrase tables, mistakes unusual wordings, and must not be asked for
facts or advice. Weather, sums and times come from tools only. Its generation config suggests a
temperature of 0.3: at 1 its words go astray too often.
"""


def write_card(folder: Path, score: Score) -> None:
    """Write README.md into the checkpoint's folder."""
    (folder / "README.md").write_text(_CARD.format(table=score.table()), encoding="utf-8")
