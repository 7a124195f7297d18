"""Bad requests of every published class of faults that a stranger can reach over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.edges.case import CHAT, REFUSED, UNHARMED, Case, chat, completion

HUGE = 10**12
CLOSED = frozenset({0, 400})
HEAD = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {{key}}\r\n"
JSON_HEAD = HEAD + "Content-Type: application/json\r\n"


def own_cases() -> Iterator[Case]:
    yield from _bodies()
    yield from _numbers()
    yield from _lists()
    yield from _messages()
    yield from _prompts()
    yield from _schemas()
    yield from _tools()
    yield from _media()
    yield from _keys()
    yield from _wire()


def _text(id: str, text: str, allowed: frozenset[int] = REFUSED) -> Case:
    return Case(id, allowed, body=text.encode("utf-8", "surrogatepass"))


def _message(content: str) -> str:
    return f'{{"model":"{{{{model}}}}","messages":[{{"role":"user","content":{content}}}]'


def _bodies() -> Iterator[Case]:
    """Classes 7, 20 to 31: what is no request at all."""
    for name, text in {"array": "[]", "null": "null", "true": "true", "cut": '{"model":'}.items():
        yield _text(f"body-{name}", text)
    yield _text("body-two-objects", "{}{}")
    yield _text("body-bom", "\ufeff{}")
    yield _text("body-infinity", _message('"x"') + ',"temperature":-Infinity}')
    yield _text("body-nan-where-a-list-belongs", _message('"x"') + ',"tools":NaN}')
    yield _text("body-number-of-9000-digits", _message('"x"') + ',"seed":' + "7" * 9000 + "}")
    yield _text("body-exponent", _message('"x"') + ',"temperature":1e400}')
    yield _text("body-nests-objects", '{"a":' * 50_000 + "1" + "}" * 50_000)
    yield _text("body-nests-past-the-limit", '{"a":' + "[" * 64 + "]" * 64 + "}")
    yield _text("body-same-key-twice", _message('"x"') + ',"max_tokens":1,"max_tokens":2}')
    yield _text("body-half-a-pair", _message('"\\udfff"') + "}")
    yield _text("body-nul", _message('"\\u0000"') + "}")
    long = '"' + "\U0001f600" + "x" * 300_000 + '":1'
    yield _text("body-long-name", _message('"x"') + f',"max_tokens":4,{long}}}', UNHARMED)
    yield Case("body-latin1", REFUSED, body=b'{"model":"\xe4"}')
    yield Case("body-of-a-million-names", REFUSED, body=_many_names(200_000))
    wrong = json.dumps({"model": "{{model}}", "messages": [{"role": 1}] * 16_000}).encode()
    yield Case("body-with-a-fault-in-each-of-16000", REFUSED, body=wrong)
    yield Case("body-form", frozenset({400, 415}), body=b"a=b", headers=_typed("text/html"))
    yield Case(
        "body-gzip", frozenset({415}), body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}
    )


def _typed(media: str) -> dict[str, str]:
    return {"Content-Type": media}


def _many_names(count: int) -> bytes:
    return json.dumps({f"field{number}": number for number in range(count)}).encode()


def _numbers() -> Iterator[Case]:
    """Classes 1 to 19: numbers out of their range, or no numbers."""
    numbers: dict[str, list[Any]] = {
        "n": [0, 129, HUGE, 1.5, "2", True],
        "max_tokens": [0, -5, 2**31, "16", 1.5],
        "max_completion_tokens": [0, -1, HUGE],
        "min_tokens": [-2, HUGE],
        "temperature": [-0.1, 2.5, "NaN", [1], 999_999],
        "top_p": [1.5, -0.5, "high"],
        "top_k": [-3, 2**40, 0.5],
        "min_p": [-1, 2],
        "presence_penalty": [3, -3, "low"],
        "frequency_penalty": [2.01, {}],
        "repetition_penalty": [-1, 0, 5e-324, 11],
        "seed": [2**64, -(2**63) - 1, 1.5],
        "top_logprobs": [1_000_000, -4, 2.5],
    }
    for name, values in numbers.items():
        for number, value in enumerate(values):
            extra = {"logprobs": True} if name == "top_logprobs" else {}
            yield chat(f"{name}-{number}", **{name: value, **extra})
    yield completion("completion-n-times-prompts", n=128, prompt=["a"] * 128)
    yield completion("completion-logprobs", logprobs=6)


def _lists() -> Iterator[Case]:
    for number, stop in enumerate([["a"] * 5, [""], [3], "x" * 1025, [["a"]], {"a": 1}]):
        yield chat(f"stop-{number}", stop=stop)
    bias = [{"-1": 1}, {"2147483648": 1}, {"1e2": 1}, {"1": 101}, {"1": "a"}, {"\u0661": 1}, [1]]
    for number, value in enumerate(bias):
        yield chat(f"logit-bias-{number}", logit_bias=value)
    yield chat("logit-bias-of-5000", logit_bias={str(token): 1 for token in range(5000)})
    yield chat("stream-options", stream_options={"include_usage": "yes"})
    yield chat("unknown-names", UNHARMED, **{"x\r\nSet-Cookie: a": 1, "ключ": 2, "y" * 5000: 3})


def _messages() -> Iterator[Case]:
    content: list[Any] = [3, {}, [], ["text"], [{"type": "text"}], [{"type": "telepathy"}]]
    for number, value in enumerate(content):
        yield chat(f"content-{number}", messages=[{"role": "user", "content": value}])
    yield chat("messages-16385", messages=[{"role": "user", "content": "a"}] * 16_385)
    yield chat("messages-a-string", messages="hello")
    yield chat("messages-nobody", messages=[{"content": "hello"}])
    yield chat("role-number", messages=[{"role": 7, "content": "a"}])
    yield chat("tool-without-call", messages=[{"role": "tool", "content": "a"}])
    yield chat("call-null", messages=[{"role": "assistant", "tool_calls": [None]}])
    yield chat(
        "control-tokens", UNHARMED, messages=[{"role": "user", "content": "<|im_end|>" * 1000}]
    )
    template = "{{ ''.__class__.__mro__ }}{% for a in range(10**9) %}{% endfor %}"
    yield chat("template-in-text", UNHARMED, messages=[{"role": "user", "content": template}])
    yield chat("template-in-name", messages=[{"role": "user", "name": template, "content": "a"}])
    yield chat("template-kwargs", chat_template_kwargs={"tokenize": False, "messages": []})
    yield chat("prompt-of-4-mb", messages=[{"role": "user", "content": "word " * 800_000}])
    for name in ("../../etc/passwd", "http://x/y", "m\u0000", "a\r\nb", "owner/model"):
        yield chat(f"model-{name!r}", frozenset({400, 404}), model=name)


def _prompts() -> Iterator[Case]:
    prompts: list[Any] = [
        "",
        [],
        [[]],
        [-1],
        [2**31],
        [10**9],
        [[-7]],
        [[1], "a"],
        [1.5],
        {},
        [None],
    ]
    for number, prompt in enumerate(prompts):
        yield completion(f"prompt-{number}", prompt=prompt)
    yield completion("prompt-of-a-million-ids", prompt=[1] * 1_000_000)
    yield completion("prompt-of-a-million-faults", prompt=["a", *[1] * 1_000_000])
    yield completion("prompt-embeds", prompt_embeds="gASVAAAAAAAAAA==")
    yield completion("suffix", suffix="x")
    yield completion("best-of", best_of=HUGE)


def _many_ways() -> dict[str, Any]:
    """Hundreds of references, each to a choice of thousands."""
    choice = {"anyOf": [{"$ref": "#/$defs/leaf"}] * 1800}
    asked = [{"$ref": "#/$defs/choice"}] * 450
    return {"prefixItems": asked, "$defs": {"choice": choice, "leaf": {"type": "null"}}}


def _schemas() -> Iterator[Case]:
    """Classes 35 to 43: what a grammar compiler may choke on."""
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(60):
        deep = {"type": "object", "properties": {"a": deep}}
    schemas: dict[str, tuple[Any, frozenset[int]]] = {
        "list": ([], REFUSED),
        "unknown-type": ({"type": "thing"}, REFUSED),
        "self": ({"$ref": "#"}, REFUSED),
        "circle": ({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#"}]}}}, REFUSED),
        "nowhere": ({"$ref": "#/$defs/nothing"}, REFUSED),
        "place-of-5000-digits": ({"a": [1], "$ref": "#/a/" + "1" * 5000}, REFUSED),
        "many-ways-to-one-place": (_many_ways(), UNHARMED),
        "abroad": ({"$ref": "http://127.0.0.1:{{canary_port}}/schema"}, REFUSED),
        "deep": (deep, REFUSED),
        "regex": ({"type": "string", "pattern": "(["}, REFUSED),
        "slow-regex": ({"type": "string", "pattern": "^(([a-z]+)*)+$"}, UNHARMED),
        "parentheses": ({"type": "string", "pattern": "(" * 20_000 + ")" * 20_000}, UNHARMED),
        "long-text": ({"type": "string", "minLength": 10**9}, UNHARMED),
        "many-items": ({"type": "array", "minItems": 10**9}, UNHARMED),
        "big": ({"enum": [f"value {number}" for number in range(20_000)]}, UNHARMED),
    }
    for name, (schema, allowed) in schemas.items():
        form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
        yield chat(f"schema-{name}", allowed, response_format=form)
    formats: list[Any] = ["json", {"type": "regex"}, {"type": "json_schema"}, {}, {"type": 3}]
    formats.append({"type": "json_object", "schema": {"type": "object"}})
    formats.append({"type": "json_schema", "json_schema": {"name": "s", "shema": {}}})
    for number, form in enumerate(formats):
        yield chat(f"format-{number}", response_format=form)
    for name in ("guided_json", "guided_regex", "structured_outputs", "grammar"):
        yield chat(name, **{name: "(a+)+b"})


def _tools() -> Iterator[Case]:
    function = {"type": "function", "function": {"name": "f", "parameters": {}}}
    tools: list[Any] = [
        *({}, "f", [3], [{"type": "function"}], [function] * 129),
        [{"type": "function", "function": {"name": "a b"}}],
        [{"type": "function", "function": {"name": "f", "parameters": "all"}}],
        [{"type": "web_search"}],
    ]
    for number, value in enumerate(tools):
        yield chat(f"tools-{number}", tools=value)
    yield chat("tool-choice-alone", tool_choice="required")
    named = {"type": "function", "function": {"name": "g"}}
    yield chat("tool-choice-of-another", tools=[function], tool_choice=named)


def _media() -> Iterator[Case]:
    """Classes 51 to 56: nothing is fetched, opened or decoded."""
    here = "127.0.0.1:{{canary_port}}"
    urls = [f"http://{here}/a.png", f"http://{here}#@example.com/", "file:///etc/passwd"]
    urls += ["data:image/png;base64,AAAA", "http://[::ffff:127.0.0.1]:{{canary_port}}/", "//x/y"]
    for number, url in enumerate(urls):
        part = {"type": "image_url", "image_url": {"url": url}}
        body = chat("", messages=[{"role": "user", "content": [part]}]).body
        yield Case(f"image-{number}", REFUSED, body=body, no_egress=True)
    text = f"![a](http://{here}/a.png) <img src='http://{here}/b.png'>"
    body = chat("", messages=[{"role": "user", "content": text}]).body
    yield Case("image-in-text", UNHARMED, body=body, no_egress=True)
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    yield chat("audio", messages=[{"role": "user", "content": [audio]}])


def _keys() -> Iterator[Case]:
    for number, value in enumerate(
        [None, "", "Bearer", "Bearer \x80\xff", "Basic {{key}}", "{{key}}"]
    ):
        headers = {"Authorization": value}
        yield Case(f"key-{number}", frozenset({401}), "/v1/models", "GET", headers=headers)
    paths = ("/v1/models/../models", "/v1//models", "/%2e/v1/models", "/health/../v1/models")
    for path in (*paths, "/HEALTH", "/health%00", "/%68ealth", "/v1/models;a=b", "/health/"):
        yield Case(f"path-{path}", frozenset({401}), path, "GET", headers={"Authorization": None})
    foreign = {"Host": "evil.example"}
    yield Case("host-foreign", REFUSED, "/v1/models", "GET", headers=foreign)
    yield Case("host-with-a-path", REFUSED, "/health", "GET", headers={"Host": "localhost/health?"})


def _wire() -> Iterator[Case]:
    """Classes 61, 65 to 70: the request itself."""
    for method in ("BREW", "_GET", "TRACE", "PUT", "PATCH"):
        yield Case(f"method-{method}", frozenset({400, 405}), method=method)
    big = f"X-Big: {'a' * 70_000}\r\n"
    yield _raw("header-70-kb", HEAD + big + "\r\n", {0, 431})
    yield _raw("header-endless", HEAD + "X-Big: " + "a" * 3_000_000, {0, 431})
    yield _raw("headers-101", HEAD + "X-A: b\r\n" * 101 + "\r\n", {0, 431})
    yield _raw(
        "url-70-kb", f"GET /{'a' * 70_000} HTTP/1.1\r\nHost: localhost\r\n\r\n", {0, 400, 431}
    )
    yield _raw("no-http", "\x16\x03\x01 hello\r\n\r\n", CLOSED)
    yield _raw("no-host", "GET /health HTTP/1.1\r\n\r\n", {0, 200, 400})
    yield _raw("two-hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", CLOSED)
    yield _raw("length-negative", JSON_HEAD + "Content-Length: -1\r\n\r\n{}", CLOSED)
    yield _raw("length-huge", JSON_HEAD + f"Content-Length: {10**30}\r\n\r\n", {0, 400, 413})
    yield _raw(
        "length-twice", JSON_HEAD + "Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}", CLOSED
    )
    chunked = JSON_HEAD + "Transfer-Encoding: chunked\r\n"
    yield _raw("chunk-size", chunked + "\r\nxyz\r\n{}\r\n0\r\n\r\n", CLOSED)
    yield _raw("chunk-size-huge", chunked + "\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n", CLOSED)
    yield _raw("chunks-20000", chunked + "\r\n" + "1\r\n \r\n" * 20_000 + "0\r\n\r\n", CLOSED)
    smuggled = (
        "Content-Length: 3\r\n\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    yield _raw("two-lengths", chunked + smuggled, CLOSED)
    whole = "\r\n2\r\n{}\r\n0\r\n\r\n"
    for coding in (
        "gzip, chunked",
        "identity, chunked",
        "xchunked",
        "chunked, identity",
        "\x0bchunked",
    ):
        head = f"{JSON_HEAD}Transfer-Encoding: {coding}\r\n"
        yield _raw(f"coding-{coding!r}", head + whole, CLOSED)
    yield _raw("chunked-in-1.0", chunked.replace("/1.1", "/1.0") + whole, CLOSED)
    for name in ("X-Request-Id", "traceparent", "Accept", "User-Agent"):
        value = "a%0d%0aSet-Cookie:b" + "x" * 2000
        yield Case(f"header-{name}", frozenset({200}), "/v1/models", "GET", headers={name: value})
    limit = 16 * 1024 * 1024
    yield Case("body-over-the-limit", frozenset({0, 413}), body=b" " * (limit + 1))
    yield Case(
        "body-over-the-limit-chunked", frozenset({0, 413}), body=b" " * (limit + 1), chunked=True
    )


def _raw(id: str, text: str, allowed: set[int] | frozenset[int]) -> Case:
    return Case(id, frozenset(allowed), CHAT, raw=text.encode("latin-1"))
