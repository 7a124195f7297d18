"""A checkpoint's chat template, run as Transformers runs it, in jinja2's immutable sandbox.

What a template is given (block trimming, ``break`` and ``continue``, ``tojson`` without escapes,
``raise_exception``, ``strftime_now``, ``{% generation %}``) follows Transformers' documentation
"Writing a chat template", checked against release 5.23. Needs the extra ``[hf]``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from jinja2 import Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from enginebay_core.api import (
    Conversation,
    EngineBayError,
    JsonValue,
    Message,
    ModelError,
    RequestError,
    ToolCall,
)
from enginebay_core.text.template_messages import RESERVED, template_messages
from enginebay_core.text.user_text import StandIns

LONGEST: Final = 64 * 1024 * 1024
"""Characters after which a template is taken to run away."""
_CALLED: Final = Conversation(
    (
        Message("user", "Hello"),
        Message("assistant", None, tool_calls=(ToolCall("abcdefgh1", "f", '{"canary": "x"}'),)),
        Message("tool", "x", tool_call_id="abcdefgh1"),
    )
)
_NOT_ASCII: Final = re.compile("[^\\x00-\\x7f\\ud800-\\udfff]")
"""What JSON in ASCII escapes; lone surrogates are stand-ins (``user_text``) and stay."""


class ChatTemplate:
    """``variables`` are the special tokens by name, which a conversation's options may override.

    Strings that ``stand_ins`` protected stay so in the rendered text.
    """

    def __init__(self, source: str, variables: Mapping[str, str], stand_ins: StandIns) -> None:
        self._variables = dict(variables)
        self._stand_ins = stand_ins
        self._template = _compile(source, stand_ins)

    @cached_property
    def text_arguments(self) -> bool:
        """Whether a call's arguments are to be given as JSON text. Most templates want an object;
        some, as DeepSeek's, put together text, and fail with an object or print it as Python.
        """
        return not self._writes_json(as_text=False) and self._writes_json(as_text=True)

    def _writes_json(self, *, as_text: bool) -> bool:
        messages = template_messages(_CALLED, text_arguments=as_text)
        try:
            return '"canary"' in self.render([dict(message) for message in messages], None, {})
        except EngineBayError:
            return False

    def render(
        self,
        messages: list[JsonValue],
        tools: list[JsonValue] | None,
        options: Mapping[str, JsonValue],
        *,
        opens_turn: bool = True,
    ) -> str:
        """Raises RequestError where the template refuses, or cannot cope with, the conversation."""
        _check_options(options)
        given = {"messages": messages, "tools": tools, "documents": None}
        variables = {**self._variables, **options, **given, "add_generation_prompt": opens_turn}
        try:
            return _collect(self._template.generate(variables))
        except RequestError:
            raise
        except _Refusal as error:
            words = self._stand_ins.reveal(str(error.message))
            raise RequestError(
                f"the model's chat template refuses these messages: {words}",
                param="messages",
            ) from error
        except SecurityError as error:
            raise ModelError(
                f"the model's chat template does what a template may not: {error}"
            ) from error
        except Exception as error:  # a template is a program: anything can go wrong in it
            raise RequestError(
                "the model's chat template cannot render these messages "
                f"({type(error).__name__}: {error}); it may not know their roles, tools or options",
                param="messages",
            ) from error


class _Refusal(TemplateError):
    """The template called ``raise_exception``."""


def _collect(pieces: Iterable[str]) -> str:
    collected: list[str] = []
    length = 0
    for piece in pieces:
        collected.append(piece)
        length += len(piece)
        if length > LONGEST:
            raise RequestError(
                f"the model's chat template made more than {LONGEST} characters of these messages",
                param="messages",
            )
    return "".join(collected)


def _check_options(options: Mapping[str, JsonValue]) -> None:
    for name in options:
        if name in RESERVED:
            raise RequestError(
                f"the template option {name!r} is not yours to set: the request's own fields do",
                param=f"chat_template_kwargs.{name}",
            )


def _compile(source: str, stand_ins: StandIns) -> Template:
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
    )
    environment.concat = lambda parts: stand_ins.wrap("".join(parts))  # type: ignore[method-assign]
    environment.filters["tojson"] = _tojson
    environment.globals.update(
        raise_exception=_raise_exception,
        strftime_now=_strftime_now,
        dict=_Dict(),
        namespace=_PublicNamespace,
    )
    try:
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise ModelError(
            f"the checkpoint's chat template is not valid jinja2, line {error.lineno}: "
            f"{error.message}"
        ) from error


class _Generator(CodeGenerator):
    """``a ~ b`` joins by the environment's ``concat`` too."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concat((")
        for part in node.nodes:
            self.write("str(")
            self.visit(part, frame)
            self.write("), ")
        self.write("))")


class _Environment(ImmutableSandboxedEnvironment):
    code_generator_class = _Generator


class _GenerationTag(Extension):
    """``{% generation %}`` marks what the assistant said, for training: here only its body."""

    tags = {"generation"}  # noqa: RUF012  # declared so by jinja2

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Macro) -> str:
        return str(caller())


class _PublicNamespace(Namespace):
    """Without names that begin with an underscore, through which templates reached interpreters."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # as Namespace: a field may be called self
        self, *rest = args
        fields = dict(*rest, **kwargs)
        for name in fields:
            _check_public(name)
        Namespace.__init__(self, fields)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_public(name)
        super().__setitem__(name, value)


def _check_public(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace field is called {name!r}, with an underscore first")


class _Dict:
    """The global ``dict``, without the attributes of the class."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


def _raise_exception(message: str) -> None:
    raise _Refusal(message)


def _strftime_now(layout: str) -> str:
    return datetime.now().strftime(layout)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,  # templates pass it by position
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    text = json.dumps(
        value, ensure_ascii=False, indent=indent, separators=separators, sort_keys=sort_keys
    )
    return _NOT_ASCII.sub(_escape, text) if ensure_ascii else text


def _escape(character: re.Match[str]) -> str:
    return json.dumps(character[0])[1:-1]
