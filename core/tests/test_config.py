"""The config of one model: every mistake is named, with its place and its repair."""

from typing import Any

import pytest

from enginebay_core.api import ConfigError
from enginebay_core.config import Defaults, ModelConfig, model_schema, parse, parse_options
from enginebay_core.plugins import load_backend


def fault(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as raised:
        parse(ModelConfig, values, "models.mine")
    return str(raised.value)


def test_backend_is_the_only_choice_with_a_default() -> None:
    config = parse(ModelConfig, {"model": "toy"}, "models.mine")
    assert config.backend == "transformers"
    with pytest.raises(ConfigError, match=r"models\.mine\.model: this setting is missing"):
        parse(ModelConfig, {}, "models.mine")


def test_an_unknown_key_suggests_the_nearest() -> None:
    said = fault({"model": "toy", "aliasses": []})
    assert said == "models.mine.aliasses: unknown setting; did you mean 'aliases'?"
    assert fault({"model": "toy", "zzz": 1}).startswith(
        "models.mine.zzz: unknown setting; there is backend, model, options, "
    )


def test_nested_keys_suggest_their_neighbours() -> None:
    said = fault({"model": "toy", "defaults": {"temprature": 1}})
    assert said == "models.mine.defaults.temprature: unknown setting; did you mean 'temperature'?"


def test_a_wrong_value_is_shown() -> None:
    said = fault({"model": "toy", "defaults": {"top_p": 1.5}})
    assert said.startswith("models.mine.defaults.top_p: ")
    assert said.endswith("(it is 1.5)")


def test_all_mistakes_are_named_at_once() -> None:
    assert len(fault({"modell": "toy", "required": "perhaps"}).splitlines()) == 3


def test_options_are_the_backends_own() -> None:
    toy = load_backend("toy")
    options = parse_options(toy, {"batching": "chunk"}, "models.mine.options")
    assert options.model_dump()["batching"] == "chunk"
    with pytest.raises(ConfigError, match=r"options\.batchin: unknown .* 'batching'"):
        parse_options(toy, {"batchin": "chunk"}, "models.mine.options")


def test_defaults_fall_back_field_by_field() -> None:
    mine = Defaults(temperature=0.0, top_k=5)
    merged = mine.over(Defaults(temperature=0.6, top_p=0.95))
    assert merged == Defaults(temperature=0.0, top_k=5, top_p=0.95)


def test_the_schema_holds_the_options_of_installed_backends() -> None:
    schema = model_schema()
    rules = {rule["if"]["properties"]["backend"]["const"]: rule["then"] for rule in schema["allOf"]}
    options = rules["toy"]["properties"]["options"]
    assert options["properties"]["batching"]["enum"] == ["mixed", "chunk", "single"]
    assert options["additionalProperties"] is False
