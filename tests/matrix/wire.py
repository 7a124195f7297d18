"""One model behind a running server, and what the witnesses ask of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs
from tests.server.conftest import Running

HELLO: Final = [{"role": "user", "content": "Hello! Who are you?"}]
QUESTION: Final = [{"role": "user", "content": "What is the weather in Paris?"}]
CITY: Final = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": CITY,
    },
}
NAMED: Final = {"type": "function", "function": {"name": "get_weather"}}
SCHEMA: Final = {"name": "city", "schema": CITY, "strict": True}
LENGTH: Final = 24
ROOM: Final = 200


@dataclass(frozen=True)
class Wire:
    """One model of a running server. ``support`` is what it says of itself."""

    server: Running
    model: str
    support: Mapping[str, Any] = field(repr=False)

    def post(self, path: str, **body: Any) -> Any:
        """What came, which is no error."""
        answer = self.server.post({"model": self.model, **body}, path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def chat(self, **body: Any) -> dict[str, Any]:
        """The answer to a greeting, greedy and short unless ``body`` says otherwise."""
        asked = {"messages": HELLO, "temperature": 0, "max_tokens": LENGTH, **body}
        found: dict[str, Any] = self.post("/chat/completions", **asked)
        return found

    def message(self, **body: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.chat(**body)["choices"][0]["message"]
        return found

    def frames(self, path: str, **body: Any) -> list[dict[str, Any]]:
        answer = self.server.post({"model": self.model, "stream": True, **body}, path)
        assert answer.status_code == 200, answer.text
        lines = answer.text.splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]

    def ask(self, path: str, **body: Any) -> Any:
        """The same for the routes beside ``/v1``."""
        url = self.server.root + path
        answer = self.server.http.post(url, json={"model": self.model, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def expect_refused(self, path: str, sample: Mapping[str, Any]) -> None:
        """A 400 that names what was sent."""
        begun = {"messages": HELLO} if path.startswith("/chat") else {}
        answer = self.server.post({"model": self.model, **begun, **sample}, path)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert str(error["param"]).replace("[", ".").split(".")[0] in sample, error
        assert error["code"] == "unsupported_parameter", error


def keeps_to_city(text: str) -> None:
    jsonschema_rs.validator_for(CITY).validate(json.loads(text))
