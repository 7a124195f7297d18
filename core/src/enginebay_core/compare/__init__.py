"""Two models on the same questions, token by token: is what differs rounding, or real?

``tolerance`` says what honest computations may differ by; the contract kit uses it too.
"""

from enginebay_core.compare.answer import Answer, Refused
from enginebay_core.compare.as_json import as_json
from enginebay_core.compare.comparison import (
    Comparison,
    Thresholds,
    compare,
    objections,
)
from enginebay_core.compare.question import Question, ask_text, bundled_questions
from enginebay_core.compare.recording import Named, Recording, Speed
from enginebay_core.compare.verdict import Kind, Place, Verdict

__all__ = [
    "Answer",
    "Comparison",
    "Kind",
    "Named",
    "Place",
    "Question",
    "Recording",
    "Refused",
    "Speed",
    "Thresholds",
    "Verdict",
    "as_json",
    "ask_text",
    "bundled_questions",
    "compare",
    "objections",
]
