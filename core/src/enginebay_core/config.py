"""What a config says of one model, and words for what it says wrongly."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from enginebay_core.api import Backend, ConfigError, EngineOptions, JsonValue
from enginebay_core.grammar import GrammarLimits
from enginebay_core.plugins import BACKENDS, list_plugins, load_backend
from enginebay_core.plugins.suggest import suggest
from enginebay_core.text.template_messages import RESERVED

ModelT = TypeVar("ModelT", bound=BaseModel)


class Defaults(BaseModel):
    """What a request that leaves a field out gets. None: not said here, ask the next source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    repetition_penalty: float | None = Field(None, ge=0.01, le=10)
    max_tokens: int | None = Field(None, ge=1)

    def over(self, other: Defaults) -> Defaults:
        """Mine where said, else ``other``'s."""
        mine = self.model_dump(exclude_none=True)
        return Defaults(**{**other.model_dump(), **mine})


class Queue(BaseModel):
    """Requests that find no room in the engine wait here; beyond these bounds they get a 503."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    length: int = Field(
        256, ge=0, description="How many sequences may wait, or requests for embeddings."
    )
    seconds: float = Field(60.0, gt=0, description="How long each may wait.")


class Deadlines(BaseModel):
    """Seconds after which a backend in a process of its own is taken for hung."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    load: float = Field(300.0, gt=0, description="Loading, without any progress.")
    compile: float = Field(
        900.0, gt=0, description="The first step, and any that reports progress: it may compile."
    )
    step: float = Field(120.0, gt=0, description="Any other step.")


class Grammars(BaseModel):
    """What structured outputs may ask for; more is refused with a 400 that names the schema."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int = Field(65_536, ge=64, description="JSON Schemas of one request, together.")
    depth: int = Field(32, ge=1, le=64, description="Levels that a schema may nest.")
    seconds: float = Field(5.0, gt=0, description="Compiling one grammar.")
    cached: int = Field(64, ge=0, description="Compiled grammars that are kept.")

    def limits(self) -> GrammarLimits:
        return GrammarLimits(self.bytes, self.depth, self.seconds, self.cached)


class ModelConfig(BaseModel):
    """One ``[models.NAME]`` table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: str = Field("transformers", description="Name of an installed backend.")
    model: str = Field(
        description="A Hugging Face id, a directory, or the name of an installed model."
    )
    options: dict[str, JsonValue] = Field(
        default_factory=dict, description="The backend's own settings."
    )
    aliases: list[str] = Field(default_factory=list, description="Other names it answers to.")
    defaults: Defaults = Field(
        default=Defaults(), description="Request fields' values where a request has none."
    )
    queue: Queue = Field(default=Queue(), description="Who may wait, and for how long.")
    grammar: Grammars = Field(
        default=Grammars(), description="Bounds of structured outputs and of their schemas."
    )
    tokenizer: str | None = Field(
        None, description="Name of an installed tokenizer. Default: the backend's choice."
    )
    tool_parser: str | None = Field(
        None, description="How the model writes tool calls. Default: as its chat template does."
    )
    reasoning_parser: str | None = Field(
        None, description="How it marks its thinking. Default: by the control tokens it has."
    )
    template_kwargs: list[str] = Field(
        default_factory=list,
        description="Variables of the chat template that clients may set, by chat_template_kwargs.",
    )
    control_in_prompts: bool = Field(
        True,
        description="Whether a text that is sent to /v1/completions may spell control tokens, as "
        "fill-in-the-middle needs. false: they are text there too.",
    )
    required: bool = Field(False, description="Without this model the server counts as unhealthy.")
    placement: Literal["process", "inline"] | None = Field(
        None,
        description="'process': a process of its own, whose crash costs no other model. 'inline': "
        "the server's process. Default: 'process', but for the toy.",
    )
    environment: str | None = Field(
        None,
        description="The Python environment of that process, made by `enginebay env create`. "
        "Default: the one that the backend must have, if any.",
    )
    python: str | None = Field(
        None,
        description="The interpreter of that process. Default: the environment's, else the "
        "server's own.",
    )
    pass_env: list[str] = Field(
        default_factory=list,
        description="Environment variables it gets beside those of devices and libraries.",
    )
    deadlines: Deadlines = Field(
        default=Deadlines(), description="When that process is taken for hung, in seconds."
    )
    restarts: int = Field(
        5, ge=0, description="How often in ten minutes that process is started again."
    )

    @model_validator(mode="after")
    def _only_a_process_has_these(self) -> Self:
        own = {"environment", "python", "pass_env", "deadlines", "restarts"}
        said = self.model_fields_set & own
        if self.placement == "inline" and said:
            raise ValueError(
                f"{sorted(said)[0]!r} is for placement 'process'; remove it, or placement 'inline'"
            )
        if self.environment is not None and self.python is not None:
            raise ValueError("'environment' and 'python' both choose an interpreter; remove one")
        return self

    @field_validator("template_kwargs")
    @classmethod
    def _not_the_conversations(cls, names: list[str]) -> list[str]:
        for name in names:
            if name in RESERVED or not name.isidentifier():
                raise ValueError(f"{name!r} is not a variable that a client could set; remove it")
        return names


def parse_options(
    backend: Backend[Any], options: Mapping[str, JsonValue], where: str
) -> EngineOptions:
    """The options in the backend's own model. ``where`` is their place in the config
    (``models.qwen3.options``), for messages. Raises ConfigError; loads nothing.
    """
    return parse(backend.options, options, where)


def parse(model: type[ModelT], values: Mapping[str, Any], where: str) -> ModelT:
    """``values`` as ``model``. Raises ConfigError with one line per fault, each naming the key,
    the value and the repair.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, model, where)) from None


def explain(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """One line per fault, in the words of a config rather than of pydantic."""
    return "\n".join(_explain_one(fault, model, where) for fault in error.errors())


def _explain_one(fault: ErrorDetails, model: type[BaseModel], where: str) -> str:
    path = [str(part) for part in fault["loc"]]
    key = ".".join([where, *path] if where else path)
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, path[:-1])
        near = suggest(path[-1], known)
        meant = f"did you mean {near!r}?" if near else f"there is {', '.join(known) or 'none here'}"
        return f"{key}: unknown setting; {meant}"
    if fault["type"] == "missing":
        return f"{key}: this setting is missing"
    rule = fault["msg"].removeprefix("Value error, ").replace("a valid dictionary", "a table")
    return f"{key}: {rule.replace('Input should', 'it should')} (it is {fault['input']!r})"


def _keys_at(model: type[BaseModel], path: list[str]) -> list[str]:
    """The settings that may stand at ``path`` below ``model``."""
    annotation: Any = model
    for part in path:
        annotation = _below(annotation, part)
    found = _model_of(annotation)
    return list(found.model_fields) if found else []


def _below(annotation: Any, part: str) -> Any:
    model = _model_of(annotation)
    if model is not None:
        field = model.model_fields.get(part)
        return field.annotation if field else None
    arguments = typing.get_args(annotation)
    return arguments[-1] if arguments else None  # dict[str, X] and list[X]


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        found = (_model_of(argument) for argument in typing.get_args(annotation))
        return next((model for model in found if model), None)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def model_schema() -> dict[str, Any]:
    """JSON Schema of a ``[models.NAME]`` table: for each installed backend, ``options`` are its
    own. Backends that fail to load have their options unchecked.
    """
    schema = ModelConfig.model_json_schema(ref_template="#/$defs/{model}")
    rules = [_options_rule(plugin.name) for plugin in list_plugins(BACKENDS)]
    schema["allOf"] = [rule for rule in rules if rule]
    return schema


def _options_rule(name: str) -> dict[str, Any] | None:
    try:
        options = load_backend(name).options.model_json_schema()
    except Exception:  # a broken plugin must not take the schema of the others with it
        return None
    chosen: dict[str, Any] = {"properties": {"backend": {"const": name}}}
    if name != ModelConfig.model_fields["backend"].default:
        chosen["required"] = ["backend"]
    return {"if": chosen, "then": {"properties": {"options": options}}}
