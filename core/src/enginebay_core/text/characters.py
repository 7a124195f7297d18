"""Text that UTF-8 can carry."""

from __future__ import annotations

from enginebay_core.api import RequestError


def check_characters(text: str) -> None:
    """Refuse lone surrogates: JSON can spell them, UTF-8 and so no tokenizer can take them."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"the text has half a character, {text[error.start]!r}, at position {error.start}; "
            "send both halves of the surrogate pair, or the character itself"
        ) from error
