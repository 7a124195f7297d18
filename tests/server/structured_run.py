"""Are all outputs valid? ``python -m tests.server.structured_run --backend numpy onnx``

Asks one model, on one engine after the other, for ``count`` outputs under the twenty schemas of
``tests/server/schemas.py``, at a temperature at which it babbles, eight at once, every other one as
a stream, and judges each with a JSON Schema validator that has nothing to do with the grammars.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Final

import jsonschema_rs
from openai import OpenAI
from tests.server.conftest import Running, running
from tests.server.schemas import SCHEMAS

AT_ONCE: Final = 8
LONGEST: Final = 400
ENGINES: Final = ("numpy", "transformers", "onnx", "openvino")
TEMPERATURE: Final = 1.5
PATIENCE: Final = 600.0
"""Seconds; engines differ, and the machine may be busy."""


@dataclass(frozen=True)
class Output:
    """``fault`` is empty where the output is complete and valid."""

    schema: str
    streamed: bool
    content: str
    fault: str


def ask_all(server: Running, model: str, count: int) -> Iterator[Output]:
    tasks = enumerate(islice(cycle(SCHEMAS), count))
    patient = server.client().with_options(timeout=PATIENCE)
    with patient as client, ThreadPoolExecutor(AT_ONCE) as threads:
        yield from threads.map(lambda task: ask(client, model, *task), tasks)


def ask(client: OpenAI, model: str, number: int, name: str) -> Output:
    """Streamed or not, strict or not, by the number, which is also the seed."""
    streamed = (number + number // len(SCHEMAS)) % 2 == 1
    asked: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello! Who are you?"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMAS[name], "strict": number % 3 == 0},
        },
        "max_tokens": LONGEST,
        "temperature": TEMPERATURE,
        "seed": number,
    }
    content, finish = stream(client, asked) if streamed else whole(client, asked)
    return Output(name, streamed, content, fault_of(SCHEMAS[name], content, finish))


def whole(client: OpenAI, asked: dict[str, Any]) -> tuple[str, str | None]:
    [choice] = client.chat.completions.create(**asked).choices
    return choice.message.content or "", choice.finish_reason


def stream(client: OpenAI, asked: dict[str, Any]) -> tuple[str, str | None]:
    content, finish = "", None
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            content += choice.delta.content or ""
            finish = choice.finish_reason or finish
    return content, finish


def fault_of(schema: dict[str, Any], content: str, finish: str | None) -> str:
    if finish != "stop":
        return f"it ended with {finish!r}"
    try:
        jsonschema_rs.validator_for(schema).validate(json.loads(content))
    except ValueError as error:
        return str(error)
    return ""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--backend", nargs="+", default=ENGINES)
    arguments.add_argument("--model", default="pocket")
    arguments.add_argument("--count", type=int, default=200)
    asked = arguments.parse_args()
    faults = sum(run(backend, asked.model, asked.count) for backend in asked.backend)
    return 1 if faults else 0


def run(backend: str, model: str, count: int) -> int:
    """The number of invalid outputs, after a line that says how many were valid."""
    started = time.monotonic()
    with running({"models": {"model": {"backend": backend, "model": model}}}) as server:
        outputs = list(ask_all(server, "model", count))
    faults = [output for output in outputs if output.fault]
    for fault in faults:
        print(f"{fault.schema}: {fault.fault}\n  {fault.content!r}")
    ways = ", ".join(
        f"{sum(not one.fault for one in some)} of {len(some)} {name}"
        for name, some in (
            ("whole", [one for one in outputs if not one.streamed]),
            ("streamed", [one for one in outputs if one.streamed]),
        )
    )
    schemas = len({output.schema for output in outputs})
    took = time.monotonic() - started
    print(f"{backend}: {ways} are valid, under {schemas} schemas, {took:.0f} s", flush=True)
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())
