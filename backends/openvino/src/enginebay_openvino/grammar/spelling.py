"""What the ids of a model spell, in the only form in which openvino-genai can be told: a graph
that turns ids to text.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from enginebay_core.export import spell_tokens

MARK: Final = "\ue000"
BYTE: Final = b"\xee"
"""Its first; all characters that begin so are private, and of no use in a text."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """``tokens`` are what grammars see of each id; ``end`` is one that no text contains, with
    which an output ends where no stop id is to.
    """

    tokens: tuple[bytes, ...]
    end: int

    def tokenizer(self) -> Any:
        """openvino-genai's, for grammars alone; it keeps all that its pipeline compiles."""
        return _tokenizer(self.tokens)


def control_name(token: int) -> str:
    """What grammars call a control token. Nothing but that token spells it. No digit stands at
    either end, where the library might read it as part of an escape.
    """
    return f"{MARK}z{token}z"


def spelling_of(directory: Path, vocab_size: int) -> Spelling | None:
    """None where the checkpoint's tokenizer cannot be read, or has no control token."""
    vocabulary = spell_tokens(directory, vocab_size)
    if vocabulary is None or not vocabulary.control:
        return None
    tokens = tuple(
        control_name(number).encode()
        if number in vocabulary.control
        else (b"" if BYTE in text else text)
        for number, text in enumerate(vocabulary.tokens)
    )
    return Spelling(tokens, min(vocabulary.control))


def _tokenizer(tokens: Sequence[bytes]) -> Any:
    import openvino as ov  # noqa: PLC0415 - heavy
    import openvino_genai as genai  # noqa: PLC0415 - heavy

    with tempfile.TemporaryDirectory() as folder:
        ov.save_model(_graph(tokens), Path(folder) / "openvino_detokenizer.xml")
        return genai.Tokenizer(folder)


def _graph(tokens: Sequence[bytes]) -> Any:
    """``VocabDecoder`` is where openvino-genai looks for the vocabulary."""
    import openvino as ov  # noqa: PLC0415 - heavy
    from openvino import opset13 as op  # noqa: PLC0415 - heavy
    from openvino_tokenizers import _get_factory  # noqa: PLC0415 - heavy

    ends = np.cumsum([len(token) for token in tokens], dtype=np.int32)
    begins = np.concatenate([np.zeros(1, np.int32), ends[:-1]])
    letters = np.frombuffer(b"".join(tokens), np.uint8)
    ids = op.parameter([-1, -1], np.int64, name="ids")
    constants = [op.constant(array).output(0) for array in (begins, ends, letters)]
    make = _get_factory().create
    words = make("VocabDecoder", [op.convert(ids, "i32"), *constants], {"skip_tokens": []})
    words.set_friendly_name("VocabDecoder")
    *ragged, text = words.outputs()
    joined = make("FuzeRagged", ragged)
    packed = make("StringTensorPack", [*joined.outputs(), text])
    return ov.Model(packed.outputs(), [ids], "spelling")
