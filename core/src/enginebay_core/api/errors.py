"""Every error that EngineBay raises on purpose, one tree.

- EngineBayError
    - ConfigError              the config cannot be used; nothing was loaded
    - PluginError              a plugin is missing, broken or doubly claimed
        - PluginNotFound
        - PluginConflict
        - PluginBroken
    - ModelError               a model cannot be loaded
    - RequestError             the request is at fault: 4xx, nothing reached the engine
        - UnsupportedField
        - ContextLengthExceeded
        - ModelNotFound
    - EngineError              the engine is at fault: 5xx
        - EngineClosed
        - EngineCrashed        it broke, or its process died or hung, with whatever ran in it
        - Overloaded           503, worth a retry

Messages name the value with ``!r`` and the repair. They may reach a stranger: no paths of the
server, no addresses, no keys, no traces (ConfigError, PluginError and ModelError are for the
operator and may name paths).
"""

from __future__ import annotations


class EngineBayError(Exception):
    """Base of all; catch this to catch what EngineBay foresaw."""


class ConfigError(EngineBayError):
    """A setting is unknown, of the wrong type or contradicts another."""


class PluginError(EngineBayError):
    """Something about an installed (or not installed) plugin."""


class PluginNotFound(PluginError):
    """No distribution offers this name; the message lists those there are."""


class PluginConflict(PluginError):
    """Two distributions offer the same name; the message names both."""


class PluginBroken(PluginError):
    """The plugin was found, and importing or calling its factory failed."""


class ModelError(EngineBayError):
    """The model's files are missing, damaged or not what the backend can run."""


class RequestError(EngineBayError):
    """The caller must change the request; a retry of the same cannot succeed.

    ``param`` is the request field at fault, in the spelling of the wire (``messages[0].role``).
    """

    status = 400
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code if code is not None else type(self).code


class UnsupportedField(RequestError):
    """A field that this model or this server does not honour, and will not ignore."""

    code = "unsupported_parameter"


class ContextLengthExceeded(RequestError):
    """Prompt, or prompt and max_tokens together, are longer than the model's context."""

    code = "context_length_exceeded"


class ModelNotFound(RequestError):
    """No model of that name is configured."""

    status = 404
    code = "model_not_found"


class EngineError(EngineBayError):
    """The engine failed while it worked on this request; the message names the backend."""


class EngineClosed(EngineError):
    """The engine was closed, or is closing, before this request was done."""


class EngineCrashed(EngineError):
    """The engine broke, or the process that it ran in died, or hung and was ended; the message
    says which.
    """


class Overloaded(EngineError):
    """No room now; ``retry_after`` seconds later there may be."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after
