"""Endpoints of other servers that are not here yet, so that asking for one is told from a typo."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_OTHERS: Final = "it is not served here yet."

NOT_YET: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/v1/messages": "Anthropic's Messages API is not spoken here yet; use "
        "/v1/chat/completions.",
        "/v1/images": "this server does not make images yet; it reads and writes text only.",
        "/v1/audio": "this server does not hear or speak yet; it reads and writes text only.",
        "/v1/videos": "this server does not make videos yet; it reads and writes text only.",
        "/v1/realtime": "there is no realtime session here yet; use /v1/chat/completions with "
        "stream.",
        **dict.fromkeys(
            (
                "/v1/assistants",
                "/v1/batches",
                "/v1/conversations",
                "/v1/files",
                "/v1/fine_tuning",
                "/v1/moderations",
                "/v1/rerank",
                "/v1/score",
                "/v1/threads",
                "/v1/uploads",
                "/v1/vector_stores",
            ),
            _OTHERS,
        ),
    }
)
"""What to say of each, and of what lies below it."""


def not_yet(path: str) -> str | None:
    """The sentence for ``path``; None for one that nobody serves."""
    for known, words in NOT_YET.items():
        if path == known or path.startswith(known + "/"):
            return words
    return None
