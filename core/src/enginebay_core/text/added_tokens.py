"""Which added tokens of a tokenizer are control tokens, and a twin of it that never sees one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer


@dataclass(frozen=True)
class ControlTokens:
    """``ids`` by text. ``unknown`` is the token that plain text outside the vocabulary becomes:
    no control token, but its spelling is guarded like one.
    """

    ids: Mapping[str, int]
    unknown: str | None

    @property
    def guarded(self) -> tuple[str, ...]:
        return tuple(self.ids) if self.unknown is None else (*self.ids, self.unknown)


def find_control(
    added: Mapping[int, AddedToken], model: Mapping[str, Any], template: str
) -> ControlTokens:
    """Special tokens, and those that are spelled like markup (``<think>``, ``[INST]``) and either
    appear in the chat template or lie outside the model's own vocabulary.

    The others are text that was given an id of its own: runs of blanks, the HTML tags of Gemma,
    words added by fine-tuning. User text must go on being encoded with them.
    """
    vocabulary = _pieces(model)
    unknown = _unknown(model)
    ids = {
        token.content: number
        for number, token in added.items()
        if token.content != unknown and _is_control(token, template, vocabulary)
    }
    spelled = {token.content for token in added.values()}
    return ControlTokens(ids, unknown if unknown in spelled else None)


def _is_control(token: AddedToken, template: str, vocabulary: Iterable[str]) -> bool:
    text = token.content
    return token.special or (_is_markup(text) and (text in template or text not in vocabulary))


def _is_markup(text: str) -> bool:
    ends = text[:1] + text[-1:]
    return len(text) > 2 and not any(end.isalnum() or end.isspace() for end in ends)


def _pieces(model: Mapping[str, Any]) -> Iterable[str]:
    vocabulary = model.get("vocab", {})
    return vocabulary if isinstance(vocabulary, dict) else {piece for piece, _ in vocabulary}


def _unknown(model: Mapping[str, Any]) -> str | None:
    if model.get("unk_id") is not None:
        return str(model["vocab"][model["unk_id"]][0])
    return model.get("unk_token")


def encode_plain(tokenizer: Tokenizer, text: str) -> list[int]:
    """As a batch, since ``tokenizers`` lets other threads run during a batch, and only then: a long
    text would hold up the whole process.
    """
    [encoding] = tokenizer.encode_batch_fast([text], add_special_tokens=False)
    ids: list[int] = encoding.ids
    return ids


class GuardedTokenizer:
    """The same tokenizer with its control tokens respelled by names that nobody can guess.

    Whatever a text spells, no control token is found in it; where one is meant, its alias is
    written. Everything else (merges, stripping around tokens, prefix blanks) stays as it was,
    because the whole text is encoded at once.
    """

    def __init__(self, tokenizer: Tokenizer, parts: dict[str, Any], guarded: Iterable[str]) -> None:
        """``parts`` are those of ``tokenizer.json``, and are changed."""
        nonce = secrets.token_hex(8)
        self.aliases = {
            text: f"\U000f5afe{nonce}.{number}\U000f5afe" for number, text in enumerate(guarded)
        }
        self._twin = type(tokenizer).from_str(json.dumps(_respell(parts, self.aliases)))
        self._ids = self._moved_ids(tokenizer)

    def encode(self, text: str) -> list[int]:
        ids = encode_plain(self._twin, text)
        return [self._ids.get(token, token) for token in ids] if self._ids else ids

    def _moved_ids(self, tokenizer: Tokenizer) -> dict[int, int]:
        """Ids that loading numbered anew, to what they are in the checkpoint."""
        spelling = {alias: text for text, alias in self.aliases.items()}
        moved: dict[int, int] = {}
        for number, token in self._twin.get_added_tokens_decoder().items():
            true_id = tokenizer.token_to_id(spelling.get(token.content, token.content))
            if true_id is not None and true_id != number:
                moved[number] = true_id
        return moved


def _respell(parts: dict[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    for token in parts["added_tokens"]:
        if token["content"] in aliases:
            token.update(content=aliases[token["content"]], normalized=False)
    _respell_model(parts["model"], aliases)
    parts["post_processor"] = None
    return parts


def _respell_model(model: dict[str, Any], aliases: Mapping[str, str]) -> None:
    """In the model's own vocabulary too, or Unigram and WordLevel would find them in plain text."""
    if aliases.keys().isdisjoint(_pieces(model)):
        return
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        model["vocab"] = {aliases.get(piece, piece): number for piece, number in vocabulary.items()}
    else:
        model["vocab"] = [[aliases.get(piece, piece), score] for piece, score in vocabulary]
    if "merges" in model:
        model["merges"] = [
            pair for pair in model["merges"] if not aliases.keys() & {*pair, "".join(pair)}
        ]
    if model.get("unk_token") in aliases:
        model["unk_token"] = aliases[model["unk_token"]]
