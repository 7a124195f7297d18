"""Greedy answers of a checkpoint, in float32, several prompts at a time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

from enginebay_pocket.recipe.vocabulary import END, END_OF_TEXT, token_id

_LONGEST = 160


class Writer:
    """A loaded checkpoint."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # Any: the types of Transformers give `generate` to no model class.
        self._model: Any = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._end = token_id(self._tokenizer, END)
        self._pad = token_id(self._tokenizer, END_OF_TEXT)

    def answer(self, prompts: Sequence[str], batch: int = 32) -> list[str]:
        """One answer per prompt. An answer that does not end by itself ends in "…"."""
        encoded = [self._tokenizer.encode(text).ids for text in prompts]
        order = sorted(range(len(encoded)), key=lambda at: len(encoded[at]))
        answers = [""] * len(encoded)
        for begin in range(0, len(order), batch):
            chosen = order[begin : begin + batch]
            written = self._write([encoded[at] for at in chosen])
            for at, text in zip(chosen, written, strict=True):
                answers[at] = text
        return answers

    @torch.inference_mode()
    def _write(self, prompts: list[list[int]]) -> list[str]:
        width = max(map(len, prompts))
        ids = torch.tensor([[self._pad] * (width - len(one)) + one for one in prompts])
        mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
        output = self._model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=_LONGEST, do_sample=False
        )
        return [self._text(row.tolist()) for row in output[:, width:]]

    def _text(self, ids: list[int]) -> str:
        ended = self._end in ids
        text: str = self._tokenizer.decode(
            ids[: ids.index(self._end)] if ended else ids, skip_special_tokens=False
        )
        return text if ended else text + "…"
