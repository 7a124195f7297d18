"""JSON Schema of a whole config, for editors and for ``enginebay config schema``."""

from __future__ import annotations

from typing import Any

from enginebay_core.config import model_schema
from enginebay_server.config.settings import Settings


def config_schema() -> dict[str, Any]:
    """With the options of every installed backend under the models that name it."""
    schema = Settings.model_json_schema()
    table = model_schema()
    definitions = schema.setdefault("$defs", {})
    definitions.update(table.pop("$defs", {}))
    definitions["ModelConfig"] = table
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema
