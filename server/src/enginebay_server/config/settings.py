"""What a config may say."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from enginebay_core.config import ModelConfig
from enginebay_server.config.bounds import Bounds, PerKey


class ServerSettings(BaseModel):
    """The ``[server]`` table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free one.")
    api_key: SecretStr | None = Field(
        None, description="The key clients must send. Best set as ENGINEBAY_SERVER__API_KEY."
    )
    api_keys_file: Path | None = Field(
        None,
        description="A file of further keys, one a line, plain or as sha256:HEX; lines that start "
        "with # are notes. Read again when it changes.",
    )
    auth: Literal["key", "none"] = Field(
        "key",
        description="'key': a key is needed once one is set, and on any address but this "
        "machine's own. 'none': everyone who reaches the port may use it.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Names that clients may call this server by, beside its own: "
        "'llm.example.com', '*.example.com', or '*' for any.",
    )
    cors_origins: list[str] = Field(
        default_factory=list,
        description="Web pages that may call this server from a browser: "
        "'https://chat.example.com'. Default: none.",
    )
    default_max_tokens: int = Field(
        16_384,
        ge=1,
        description="Longest chat answer where neither the request nor the model's defaults set "
        "max_tokens; the rest of the context may be less.",
    )
    max_body_bytes: int = Field(16 * 1024 * 1024, ge=1024, description="Longest request body.")
    unknown_fields: Literal["accept", "reject"] = Field(
        "accept",
        description="Request fields nobody knows: named in the x-enginebay-ignored header, or "
        "refused with a 400.",
    )
    keep_alive_seconds: float = Field(
        15.0, gt=0, description="Silence in a stream after which a comment keeps it open."
    )
    shutdown_seconds: float = Field(
        30.0, ge=0, description="How long a stop waits for running answers."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Lines of the log: 'text' for people, 'json' for machines."
    )
    log_prompts: bool = Field(
        False,
        description="Write the bodies of requests to the log, with all that users wrote.",
    )
    otlp_endpoint: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Where traces are sent: an OpenTelemetry collector that takes OTLP over HTTP, "
        "such as 'http://localhost:4318'. Default: nowhere.",
    )
    limits: Bounds = Field(default=Bounds(), description="How much a client may ask for.")
    per_key: PerKey = Field(default=PerKey(), description="How much each key may use.")

    @field_validator("api_key")
    @classmethod
    def _usable_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and (not key.get_secret_value().strip()):
            raise ValueError("the key is empty; remove it or set one")
        return key

    @model_validator(mode="after")
    def _one_mind_about_keys(self) -> Self:
        if self.auth == "none" and (self.api_key or self.api_keys_file):
            raise ValueError("auth is 'none' and a key is set as well; remove one of the two")
        return self

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach ``host``."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class Settings(BaseModel):
    """A whole config. Without any model it serves the bundled one on its own small engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: ServerSettings = Field(default=ServerSettings())
    models: dict[str, ModelConfig] = Field(
        default={"pocket": ModelConfig(backend="numpy", model="pocket")},
        min_length=1,
        description="One table per model; its name is what clients send as 'model'.",
    )

    @field_validator("models")
    @classmethod
    def _usable_names(cls, models: dict[str, ModelConfig]) -> dict[str, ModelConfig]:
        taken: dict[str, str] = {}
        for name, config in models.items():
            for called in (name, *config.aliases):
                if not called.isprintable() or not called.strip() or len(called) > 256:
                    raise ValueError(f"{called!r} cannot be a model's name")
                if called in taken:
                    raise ValueError(f"{called!r} names both {taken[called]!r} and {name!r}")
                taken[called] = name
        return models
