"""What a checkpoint's directory says about its tokenizer, beside ``tokenizer.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from enginebay_core.api import ModelError

STANDARD: Final = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")


@dataclass(frozen=True)
class TokenizerSettings:
    """``special`` are the special tokens by name (``bos_token``), ``extra`` those without one.
    ``added`` are the added tokens as ``tokenizer_config.json`` describes them, in id order.
    ``templates`` are the chat templates by name.
    """

    special: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    added: tuple[Mapping[str, Any], ...] = ()
    templates: Mapping[str, str] = field(default_factory=dict)


def read_settings(model: Path) -> TokenizerSettings:
    config = _read_json(model / "tokenizer_config.json")
    if "added_tokens_decoder" not in config:
        config = {**config, **_read_json(model / "special_tokens_map.json")}
    added = config.get("added_tokens_decoder", {})
    return TokenizerSettings(
        special=_special_tokens(config),
        extra=_extra_tokens(config),
        added=tuple(added[key] for key in sorted(added, key=int)),
        templates=_templates(model, config.get("chat_template")),
    )


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is damaged: {error}; fetch it again") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} is damaged: it holds no JSON object; fetch it again")
    return content


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    named = {key: config[key] for key in config if key.endswith("_token")}
    extra = config.get("extra_special_tokens")
    named.update(extra if isinstance(extra, dict) else {})
    texts = {key: _text(value) for key, value in named.items()}
    return {key: text for key, text in texts.items() if text is not None}


def _extra_tokens(config: Mapping[str, Any]) -> tuple[str, ...]:
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or ()
    texts = map(_text, extra.values() if isinstance(extra, dict) else extra)
    return tuple(text for text in texts if text is not None)


def _text(value: object) -> str | None:
    """A token is written as its text, or as an object with its text and flags."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _templates(model: Path, configured: object) -> dict[str, str]:
    """Files come before the config, as in Transformers."""
    files = {"default": model / "chat_template.jinja"}
    files |= {file.stem: file for file in (model / "additional_chat_templates").glob("*.jinja")}
    found = {
        name: file.read_text(encoding="utf-8") for name, file in files.items() if file.is_file()
    }
    if found:
        return found
    if isinstance(configured, str):
        return {"default": configured}
    if isinstance(configured, list):
        return {str(one["name"]): str(one["template"]) for one in configured}
    return {}
