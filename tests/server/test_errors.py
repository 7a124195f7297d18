"""Whatever goes wrong, the client gets OpenAI's error shape and the way out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.server.conftest import TOY, Config, Running

HELLO = [{"role": "user", "content": "Say hi"}]
BODY: dict[str, Any] = {"model": "toy", "messages": HELLO, "temperature": 0, "max_tokens": 4}
JSON = {"Content-Type": "application/json"}


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/chat", "/v1/chat/completions"),
        ("/api/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/x/chat/completions", "/v1/chat/completions"),
        ("/models", "/v1/models"),
        ("/v1/model", "/v1/models"),
        ("/completions", "/v1/completions"),
        ("/V1/Chat/Completions", "/v1/chat/completions"),
        ("/healthz", "/health"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("//v1/chat/completions", "/v1/chat/completions"),
    ],
)
def test_a_wrong_path_says_which_was_meant(toys: Running, path: str, meant: str) -> None:
    answer = toys.http.post(toys.root + path, json=BODY)
    assert answer.status_code == 404
    assert f"did you mean {meant}?" in error_of(answer)["message"]


@pytest.mark.parametrize("path", ["/" + "zq" * 3000, "/docs", "/v1/zqzq"])
def test_a_path_like_no_other(toys: Running, path: str) -> None:
    answer = toys.http.get(toys.root + path)
    assert answer.status_code == 404
    message = error_of(answer)["message"]
    assert "did you mean" not in message
    assert len(message) < 300


@pytest.mark.parametrize(
    "path", ["/", "/health", "/livez", "/version", "/v1/models", "/v1/models/toy", "/v1/models/no"]
)
def test_head_answers_as_get_without_a_body(toys: Running, path: str) -> None:
    whole, head = (toys.http.request(method, toys.root + path) for method in ("GET", "HEAD"))
    assert head.status_code == whole.status_code != 405
    assert head.headers["content-length"] == whole.headers["content-length"] != "0"
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert head.content == b""


def test_head_is_not_for_what_is_posted(toys: Running) -> None:
    assert toys.http.head(toys.url + "/chat/completions").status_code == 405


def test_a_wrong_method_says_which(toys: Running) -> None:
    answer = toys.http.get(toys.url + "/chat/completions")
    assert answer.status_code == 405
    assert "use POST" in error_of(answer)["message"]
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'"text"', "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"model": "\xff"}', "not UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"a": 1, "a": 2}', "'a' appears twice"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a\\u0000": 1}', "U+0000"),
        (b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}", "nests deeper"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nests deeper"),
        (b'{"a": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}", "nests deeper"),
    ],
)
def test_bodies_that_are_no_request(toys: Running, raw: bytes, words: str) -> None:
    answer = toys.http.post(toys.url + "/chat/completions", content=raw, headers=JSON)
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"
    assert words in error_of(answer)["message"]


def test_a_body_too_large_declared_or_not(start: Callable[[Config], Running]) -> None:
    server = start({"server": {"max_body_bytes": 2000}, "models": {"toy": TOY}})
    url = server.url + "/chat/completions"
    fits = json.dumps(BODY).encode()
    exact = fits + b" " * (2000 - len(fits))
    assert httpx.post(url, content=exact, headers=JSON).status_code == 200

    def pieces(size: int) -> Any:
        yield from (b" " * 100 for _ in range(size // 100))

    declared = httpx.post(url, content=exact + b" ", headers=JSON)
    chunked = httpx.post(url, content=pieces(100_000), headers=JSON)
    for answer in (declared, chunked):
        assert answer.status_code == 413
        assert error_of(answer)["code"] == "content_too_large"


@pytest.mark.parametrize(
    ("media", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("application/vnd.api+json", 200),
        ("application/x-www-form-urlencoded", 200),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
def test_content_types(toys: Running, media: str, status: int) -> None:
    answer = toys.http.post(
        toys.url + "/chat/completions", content=json.dumps(BODY), headers={"Content-Type": media}
    )
    assert answer.status_code == status


def test_a_foreign_page_cannot_post_a_form(toys: Running) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://evil.example"}
    answer = toys.http.post(
        toys.url + "/chat/completions", content=json.dumps(BODY), headers=headers
    )
    assert answer.status_code == 415


def test_compressed_bodies_are_refused(toys: Running) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    answer = toys.http.post(toys.url + "/chat/completions", content=b"\x1f\x8b", headers=headers)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"role": "root", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [*HELLO, {"role": "assistant"}]}, "messages[1].content"),
        ({"messages": [*HELLO, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "messages[0].content[0].text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
        ),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"top_k": 1.5}, "top_k"),
        ({"min_p": -1}, "min_p"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": -2.1}, "frequency_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 10**12}, "max_tokens"),
        ({"min_tokens": 5}, "min_tokens"),
        ({"min_tokens": -1}, "min_tokens"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": 10**9}, "n"),
        ({"seed": 2**63}, "seed"),
        ({"seed": "x"}, "seed"),
        ({"stop": ""}, "stop[0]"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": "yes"}, "stream"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
        ({"logit_bias": {"AI": 1}}, "logit_bias"),
        ({"logit_bias": {"999999999": 1}}, "logit_bias"),
        ({"logit_bias": {"-1": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"user": 5}, "user"),
        ({"chat_template_kwargs": {"chat_template": "x"}}, "chat_template_kwargs.chat_template"),
        (
            {"chat_template_kwargs": {"enable_thinking": True}},
            "chat_template_kwargs.enable_thinking",
        ),
        ({"messages": [{"role": "user", "content": "x", "name": "Ada"}]}, "messages[0].name"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_fields_that_do_not_fit(toys: Running, change: dict[str, Any], param: str) -> None:
    answer = toys.post({**BODY, **change})
    assert answer.status_code == 400, answer.text
    error = error_of(answer)
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert param.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0] in error["message"]
    assert len(answer.content) < 2000


@pytest.mark.parametrize("field", ["seed"])
def test_the_limits_themselves_are_fine(toys: Running, field: str) -> None:
    edge = {
        "temperature": 2,
        "top_p": 1.0,
        "top_k": 2**31 - 1,
        "presence_penalty": -2,
        "frequency_penalty": 2,
        "repetition_penalty": 10,
        "stop": ["a" * 1024, "b", "c", "d"],
        "logit_bias": {"258": -100},
        "min_tokens": 4,
    }
    for seed in (2**63 - 1, -(2**63)):
        assert toys.post({**BODY, **edge, field: seed}).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("functions", [{"name": "f"}]),
        ("prompt_logprobs", 5),
        ("modalities", ["text", "audio"]),
        ("audio", {"voice": "alloy"}),
        ("prediction", {"type": "content", "content": "x"}),
        ("web_search_options", {}),
        ("reasoning_effort", "low"),
        ("guided_json", {}),
        ("typical_p", 0.5),
        ("mirostat", 2),
        ("stop_token_ids", [1]),
        ("repeat_penalty", 1.1),
        ("max_new_tokens", 5),
        ("chat_template", "{{ 1 }}"),
        ("continue_final_message", True),
    ],
)
def test_what_changes_answers_elsewhere_is_refused(
    toys: Running, field: str, value: object
) -> None:
    answer = toys.post({**BODY, field: value})
    assert answer.status_code == 400
    assert error_of(answer)["param"] == field
    assert error_of(answer)["code"] == "unsupported_parameter"


def test_a_misspelled_field_is_refused_with_the_one_meant(toys: Running) -> None:
    answer = toys.post({**BODY, "temprature": 1})
    assert answer.status_code == 400
    assert "did you mean 'temperature'?" in error_of(answer)["message"]


def test_an_unknown_field_is_logged_once(toys: Running, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        for _ in range(3):
            assert toys.post({**BODY, "x_only_here": 1}).status_code == 200
    assert caplog.text.count("x_only_here") == 1


def test_an_unknown_field_is_named_back(toys: Running) -> None:
    message = {**HELLO[0], "cache_hint": 1}
    body = {**BODY, "messages": [message], "x_trace": 1, "zürich\r\nSet-Cookie: a=b": 2}
    answer = toys.post(body)
    assert answer.status_code == 200
    named = answer.headers["x-enginebay-ignored"]
    assert named == "x_trace, z?rich??Set-Cookie: a=b, messages[].cache_hint"
    assert "set-cookie" not in answer.headers
    stream = toys.post({**body, "stream": True})
    assert stream.headers["x-enginebay-ignored"] == named


def test_many_unknown_fields_make_no_huge_header(toys: Running) -> None:
    answer = toys.post({**BODY, **{f"zzz{i:04}{'q' * 500}": 1 for i in range(100)}})
    assert answer.status_code == 200
    assert len(answer.headers["x-enginebay-ignored"]) < 3000
    assert answer.headers["x-enginebay-ignored"].endswith("and 68 more")


def test_the_strict_refuse_unknown_fields(start: Callable[[Config], Running]) -> None:
    server = start({"server": {"unknown_fields": "reject"}, "models": {"toy": TOY}})
    answer = server.post({**BODY, "x_trace": 1})
    assert answer.status_code == 400
    assert error_of(answer)["param"] == "x_trace"
    assert server.post(BODY).status_code == 200


def test_a_prompt_over_the_context_says_both_numbers(toys: Running) -> None:
    long = [{"role": "user", "content": "x" * 3000}]
    answer = toys.post({**BODY, "messages": long})
    error = error_of(answer)
    assert answer.status_code == 400
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert "2048" in error["message"]
    assert "3" in error["message"]
    both = error_of(toys.post({**BODY, "max_tokens": 2040}))
    assert both["code"] == "context_length_exceeded"


def test_a_prompt_far_over_the_context_is_not_even_tokenised(toys: Running) -> None:
    huge = [{"role": "user", "content": "hello " * 900_000}]
    answer = toys.post({**BODY, "messages": huge})
    assert answer.status_code == 400
    assert error_of(answer)["code"] == "context_length_exceeded"
    assert "5400000 characters" in error_of(answer)["message"]


def test_long_values_are_not_sent_back(toys: Running) -> None:
    answer = toys.post({**BODY, "max_tokens": "A" * 100_000})
    assert answer.status_code == 400
    assert len(answer.content) < 500
    many = [{"role": "user", "content": [{"type": "x"}] * 1000}] * 12
    answer = toys.post({**BODY, "messages": many})
    assert answer.status_code == 400
    assert len(answer.content) < 500


def test_an_engines_failure_is_a_500_without_details(start: Callable[[Config], Running]) -> None:
    server = start({"models": {"bad": {**TOY, "options": {"raise_at_step": 3}}}})
    answer = server.post({"model": "bad", "messages": HELLO})
    assert answer.status_code == 500
    assert error_of(answer)["type"] == "server_error"
    assert "Traceback" not in answer.text
    assert "/" not in error_of(answer)["message"]
    assert server.post({"model": "bad", "messages": HELLO, "max_tokens": 3}).status_code == 200
