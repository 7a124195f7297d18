"""From the ids of an answer to the parts of an OpenAI message."""

from enginebay_server.parsers.parts import Part, PartsReader, joined
from enginebay_server.parsers.plain import PlainReader
from enginebay_server.parsers.reasoning import ReasoningReader, ThinkingTags, thinking_tags

__all__ = [
    "Part",
    "PartsReader",
    "PlainReader",
    "ReasoningReader",
    "ThinkingTags",
    "joined",
    "thinking_tags",
]
