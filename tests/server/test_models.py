"""Several models side by side, what they say of themselves, and health."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from openai import NotFoundError, OpenAI
from openai.types.chat import ChatCompletionUserMessageParam
from tests.server.conftest import TOY, Config, Running

HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Say hi"}]


def test_all_models_are_listed(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert set(listed) == {"toy", "gpt-4o-mini", "slow", "gone", "never"}
    assert all(model.object == "model" for model in listed.values())


def test_a_model_says_what_it_can_do(toys: Running) -> None:
    card = toys.http.get(toys.url + "/models/toy").json()
    assert card["backend"] == "toy"
    assert card["status"] == "ready"
    assert card["context_length"] == card["max_model_len"] == 2048
    assert card["capabilities"]["top_k"] == {"support": "native"}
    assert card["capabilities"]["n"] == {"support": "native", "maximum": 128}
    assert card["capabilities"]["tools"]["support"] == "refused"
    assert card["template"]["system"] is True
    assert "user" in card["without_effect"]


def test_an_alias_is_shown_as_one(toys: Running) -> None:
    card = toys.http.get(toys.url + "/models/gpt-4o-mini").json()
    assert (card["id"], card["alias_of"]) == ("gpt-4o-mini", "toy")


def test_defaults_are_shown_and_used(start: Callable[[Config], Running]) -> None:
    server = start({"models": {"cold": {**TOY, "defaults": {"temperature": 0}}, "warm": TOY}})

    def say(model: str, **fields: object) -> str:
        body = {"model": model, "messages": HELLO, "max_tokens": 16, "seed": 1, **fields}
        return str(server.post(body).json()["choices"][0]["message"]["content"])

    assert server.http.get(server.url + "/models/cold").json()["defaults"] == {"temperature": 0.0}
    assert say("cold") == say("warm", temperature=0) != say("warm")
    assert say("cold", temperature=1) == say("warm")


@pytest.mark.parametrize("name", ["no-such-model", "evil/remote-code", "../../etc/passwd", "TOY"])
def test_an_unknown_model_lists_those_there_are(client: OpenAI, name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.chat.completions.create(model=name, messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "'toy'" in caught.value.message


def test_retrieving_an_unknown_model(toys: Running) -> None:
    answer = toys.http.get(toys.url + "/models/owner/name")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


def test_a_failed_model_harms_nobody(toys: Running) -> None:
    answer = toys.post({"model": "gone", "messages": HELLO})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "model_failed"
    assert "told to fail" not in answer.text  # the reason is for the operator
    assert answer.headers["x-should-retry"] == "false"
    assert toys.models.entries["gone"].reason == "the toy was told to fail while loading"
    assert toys.http.get(toys.url + "/models/gone").json()["status"] == "failed"
    assert toys.post({"model": "toy", "messages": HELLO, "max_tokens": 1}).status_code == 200


def test_a_loading_model_asks_for_patience(toys: Running) -> None:
    answer = toys.post({"model": "never", "messages": HELLO})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "model_loading"
    assert int(answer.headers["retry-after"]) >= 1
    assert toys.http.get(toys.url + "/models/never").json()["status"] == "loading"


def test_health_while_something_serves(toys: Running) -> None:
    answer = toys.http.get(toys.root + "/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("models", "status"),
    [
        ({"gone": {**TOY, "options": {"fail_load": True}}}, 503),
        ({"toy": TOY, "gone": {**TOY, "options": {"fail_load": True}}}, 200),
        ({"toy": TOY, "gone": {**TOY, "options": {"fail_load": True}, "required": True}}, 503),
    ],
    ids=["nothing serves", "one serves", "a required one does not"],
)
def test_health_by_what_serves(
    start: Callable[[Config], Running], models: Config, status: int
) -> None:
    server = start({"models": models})
    answer = server.http.get(server.root + "/health")
    assert answer.status_code == status
    assert set(answer.json()) == {"status"}
    assert server.http.get(server.root + "/livez").status_code == 200


def test_version(toys: Running) -> None:
    assert toys.http.get(toys.root + "/version").json()["version"].count(".") == 2


def test_home_for_a_terminal_and_for_a_browser(toys: Running) -> None:
    plain = toys.http.get(toys.root + "/")
    assert plain.headers["content-type"].startswith("text/plain")
    assert toys.url in plain.text
    assert "curl" in plain.text
    assert "from openai import OpenAI" in plain.text
    page = toys.http.get(toys.root + "/", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "from openai import OpenAI" in page.text


def test_the_snippets_work(toys: Running) -> None:
    text = toys.http.get(toys.root + "/").text
    code = text[text.index("from openai") :]
    said: list[str] = []
    exec(code, {"print": said.append})
    assert said[0]


def test_the_openapi_document_describes_the_bodies(toys: Running) -> None:
    document = toys.http.get(toys.root + "/openapi.json").json()
    body = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert set(schema["required"]) == {"model", "messages"}
    assert schema["properties"]["n"]["maximum"] == 128
