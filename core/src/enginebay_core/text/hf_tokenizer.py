"""The shared tokenizer: ``tokenizer.json`` by ``tokenizers``, chat templates by jinja2."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from enginebay_core.api import Conversation, ModelError, PluginBroken, Prompt, RequestError
from enginebay_core.text.added_tokens import GuardedTokenizer, encode_plain, find_control
from enginebay_core.text.characters import check_characters
from enginebay_core.text.checkpoint import TokenizerSettings, read_settings
from enginebay_core.text.detokenizer import REPLACEMENT, Detokenizer, Step
from enginebay_core.text.frame import Frame
from enginebay_core.text.template_messages import template_messages
from enginebay_core.text.token_bytes import TokenSpeller
from enginebay_core.text.user_text import StandIns

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

    from enginebay_core.text.template import ChatTemplate

FLAGS: Final = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
INSTALL: Final = 'pip install "enginebay-core[hf]"'


def load(model: Path) -> HuggingFaceTokenizer:
    """The entry point ``huggingface``: the tokenizer of the checkpoint in the directory ``model``.

    Raises ModelError when ``tokenizer.json`` is missing or damaged, PluginBroken without the
    extra ``[hf]``.
    """
    settings = read_settings(model)
    tokenizer = _read_tokenizer(model / "tokenizer.json")
    _add_tokens(tokenizer, settings)
    return HuggingFaceTokenizer(tokenizer, settings)


class HuggingFaceTokenizer:
    """Made by ``load``.

    The client's strings stay text: ``user_text`` tells control tokens that they spell from the
    template's own, ``GuardedTokenizer`` encodes the whole prompt at once without seeing them. A
    conversation that spells none is encoded as Transformers does it.
    """

    def __init__(self, tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
        parts = json.loads(tokenizer.to_str())
        added = tokenizer.get_added_tokens_decoder()
        control = find_control(added, parts["model"], "\0".join(settings.templates.values()))
        self._tokenizer = tokenizer
        self._control = MappingProxyType(dict(control.ids))
        self._hidden = frozenset(number for number, token in added.items() if token.special)
        decoder = json.dumps(parts["decoder"])
        self._falls_back = '"ByteFallback"' in decoder
        self._guarded = GuardedTokenizer(tokenizer, parts, control.guarded)
        self._stand_ins = StandIns(control.guarded)
        self._speller = TokenSpeller(
            self._decode_all,
            anchor=lambda: self.encode("a"),
            piece=tokenizer.id_to_token,
            decoder=decoder,
            own={
                **{number: text for text, number in control.ids.items()},
                **{number: added[number].content for number in self._hidden},
            },
        )
        self._templates = _compile_templates(settings, self._stand_ins)

    @property
    def control(self) -> Mapping[str, int]:
        return self._control

    def encode(self, text: str, *, control: bool = False) -> list[int]:
        check_characters(text)
        if not control:
            return self._guarded.encode(text)
        return encode_plain(self._tokenizer, text)

    def decode(self, ids: Sequence[int]) -> str:
        """As ``tokenizers`` does, save one thing: where bytes of byte-fallback tokens form no
        character, those before them that do are kept (Hugging Face's decoder gives up the whole
        run), since a stream has shown them by then.
        """
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        if self._falls_back and REPLACEMENT in text:
            stream = self.open_detokenizer({})
            return "".join([stream.push(token) for token in ids]) + stream.flush()
        return text

    def token_bytes(self, token: int) -> bytes:
        """As the function of that name says."""
        return self._speller.spell(token)

    def render(self, conversation: Conversation) -> Prompt:
        template = self._template_for(conversation)
        protect = self._stand_ins.protect
        called = any(message.tool_calls for message in conversation.messages)
        messages = template_messages(
            conversation, text_arguments=called and template.text_arguments
        )
        rendered = template.render(
            [protect(message) for message in messages],
            [protect(dict(tool)) for tool in conversation.tools] or None,
            {name: protect(value) for name, value in conversation.options.items()},
            opens_turn=conversation.opens_turn,
        )
        return self._to_prompt(rendered)

    def text_frame(self) -> Frame:
        """What the post-processor of ``tokenizer.json`` adds."""
        whole = self._tokenizer.encode("a", add_special_tokens=True)
        added = [bool(mark) for mark in whole.special_tokens_mask]
        first = added.index(False)
        last = len(added) - added[::-1].index(False)
        return Frame(tuple(whole.ids[:first]), tuple(whole.ids[last:]))

    def open_detokenizer(self, shown: Mapping[int, str]) -> Detokenizer:
        """For one sequence; ``shown`` are the special tokens to show, with their text."""
        return Detokenizer(
            self._decode_all,
            open_step=self._open_step,
            anchor=lambda: self.encode("a"),
            hidden=self._hidden,
            shown=shown,
        )

    def _to_prompt(self, rendered: str) -> Prompt:
        text = self._stand_ins.reveal(rendered)
        if text == rendered:
            return Prompt(text, tuple(self.encode(text, control=True)))
        aliased = self._stand_ins.replace_control(rendered, self._guarded.aliases)
        return Prompt(text, tuple(self._guarded.encode(self._stand_ins.reveal(aliased))))

    def _template_for(self, conversation: Conversation) -> ChatTemplate:
        """The template called ``tool_use``, where there is one and there are tools; else the
        default.
        """
        wanted = ("tool_use", "default") if conversation.tools else ("default",)
        for name in wanted:
            if name in self._templates:
                return self._templates[name]
        raise RequestError(
            "this model has no chat template, so it cannot take messages; send its prompt as text "
            "to /v1/completions",
            param="messages",
        )

    def _decode_all(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def _open_step(self, context: list[int]) -> Step:
        from tokenizers.decoders import DecodeStream  # noqa: PLC0415  # of the extra [hf]

        stream = DecodeStream(context, skip_special_tokens=False)
        return partial(stream.step, self._tokenizer)


def _read_tokenizer(file: Path) -> Tokenizer:
    try:
        from tokenizers import Tokenizer  # noqa: PLC0415  # of the extra [hf]
    except ImportError as error:
        raise PluginBroken(f"the tokenizer 'huggingface' needs more: {INSTALL}") from error
    if not file.is_file():
        if not (file.parent / "config.json").is_file():
            raise ModelError(
                f"{file.parent} is no model: it has neither config.json nor {file.name}; name the "
                "directory that holds them"
            )
        raise ModelError(
            f"{file} is missing. Only fast tokenizers (tokenizer.json) are read here; name another "
            "tokenizer in the model's config where the checkpoint has a slow one"
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises a bare Exception
        raise ModelError(f"{file} is damaged: {error}; fetch it again") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _add_tokens(tokenizer: Tokenizer, settings: TokenizerSettings) -> None:
    """What ``tokenizer_config.json`` knows and ``tokenizer.json`` does not, as older checkpoints
    have it; in the order in which Transformers adds it, which decides the ids.
    """
    from tokenizers import AddedToken  # noqa: PLC0415  # of the extra [hf]

    known = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
    special = {*settings.special.values(), *settings.extra}
    wanted = [AddedToken(**_flags(token, special)) for token in settings.added]
    described = {token.content for token in wanted} | known.keys()
    wanted += [
        AddedToken(text, special=True, normalized=False)
        for text in dict.fromkeys((*settings.special.values(), *settings.extra))
        if text not in described
    ]
    for token in wanted:
        if _differs(token, known.get(token.content)):
            add = tokenizer.add_special_tokens if token.special else tokenizer.add_tokens
            add([token])


def _flags(token: Mapping[str, Any], special: Collection[str]) -> dict[str, Any]:
    flags = {name: token[name] for name in FLAGS if name in token}
    return {**flags, "special": token.get("special", False) or token["content"] in special}


def _differs(token: AddedToken, known: AddedToken | None) -> bool:
    return known is None or any(getattr(token, flag) != getattr(known, flag) for flag in FLAGS)


def _compile_templates(settings: TokenizerSettings, stand_ins: StandIns) -> dict[str, ChatTemplate]:
    if not settings.templates:
        return {}
    try:
        from enginebay_core.text.template import ChatTemplate  # noqa: PLC0415  # needs jinja2
    except ImportError as error:
        raise PluginBroken(f"chat templates need jinja2: {INSTALL}") from error
    return {
        name: ChatTemplate(source, settings.special, stand_ins)
        for name, source in settings.templates.items()
    }
