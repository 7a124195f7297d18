"""``enginebay bench``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from enginebay_server.cli.arguments import AsJson, Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enginebay_server.bench.load import Answered


def bench(
    url: Annotated[
        str, typer.Argument(help="Base URL of any server with OpenAI's API, ending in /v1.")
    ],
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Default: the first that the server lists.")
    ] = None,
    streams: Annotated[
        str, typer.Option(metavar="N,N,…", help="How many answers at once, one row for each.")
    ] = "1,4,16",
    prompt_tokens: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Words of each prompt: about as many tokens.")
    ] = 128,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 64,
    repeat: Annotated[int, typer.Option(min=1, help="Requests per stream, one after another.")] = 3,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="Instead of --repeat: start requests for so long."),
    ] = None,
    key: Key = None,
    json: AsJson = False,
) -> None:
    """Put load on a server and say how fast it answers.

    Every prompt is new from its first word on, so that no prefix cache helps. Tokens are counted
    by the server's usage where it sends one, else by chunks, and the last line says which.

    \b
    tokens/s   of all streams together, from the first request to the last token
    TTFT       time to first token
    gap        time between one chunk and the next of the same answer

    \b
    --json prints {"url", "model", "counted_by", "rows": [{"streams", "answers", "tokens",
    "prompt_tokens", "seconds", "tokens_per_second", "ttft_p50", "ttft_p99", "gap_p50", "gap_p99",
    "errors": {MESSAGE: COUNT}}]}, times in seconds. Exit code 1: some request failed.

    \b
    Examples:
      enginebay bench http://127.0.0.1:8000/v1
      enginebay bench http://127.0.0.1:8000/v1 --streams 1,8,32 --prompt-tokens 1000 --seconds 30
    """
    from enginebay_server.cli.output import print_json

    levels = parse_streams(streams)
    found = measure(url, model, levels, _shape(prompt_tokens, max_tokens, repeat, seconds), key)
    if json:
        print_json(found)
    else:
        print_report(found)
    if any(row["errors"] for row in found["rows"]):
        raise typer.Exit(1)


def parse_streams(text: str) -> list[int]:
    try:
        levels = [int(part) for part in text.split(",")]
    except ValueError:
        levels = []
    if not levels or min(levels) < 1 or max(levels) > 10_000:
        raise typer.BadParameter(
            f"{text!r} is no list of numbers from 1 to 10000; write it as 1,4,16",
            param_hint="--streams",
        )
    return levels


def measure(
    url: str, model: str | None, levels: Sequence[int], shape: dict[str, Any], key: str | None
) -> dict[str, Any]:
    """One level after another. Raises RemoteError where the server lists no models."""
    import asyncio

    from enginebay_server.bench import Load, Target, run_load
    from enginebay_server.cli.progress import show_progress
    from enginebay_server.cli.remote import is_here

    url = url.rstrip("/")
    here = is_here(url)
    target = Target(url, model or first_model(url, key), key, proxies=not here)
    rows, counts = [], set()
    with show_progress(f"asking {target.model}") as progress:
        for level in levels:
            progress(f"{level} at once")
            answers = asyncio.run(run_load(target, Load(level, **shape)))
            rows.append({"streams": level, **_row(answers)})
            counts |= {_counted_by(answer) for answer in answers if not answer.times.error}
    counted_by = " and ".join(sorted(counts)) or "nothing"
    return {"url": url, "model": target.model, "counted_by": counted_by, "rows": rows}


def first_model(url: str, key: str | None) -> str:
    from enginebay_server.cli.remote import Remote, RemoteError

    with Remote(url, key) as remote:
        listed = remote.models()
    if not listed:
        raise RemoteError(f"{url} lists no models; name one with --model")
    return str(listed[0]["id"])


def print_report(found: dict[str, Any]) -> None:
    from enginebay_server.cli.output import open_console, print_table, printable

    console = open_console()
    console.print(f"{printable(found['model'])} at {found['url']}\n")
    columns = ["at once", "answers", "prompt", "tokens", "tokens/s"]
    columns += ["TTFT p50", "p99", "gap p50", "p99", "errors"]
    print_table(console, columns, [_cells(row) for row in found["rows"]])
    console.print(f"\ntokens counted by {found['counted_by']}")
    for row in found["rows"]:
        for message, count in row["errors"].items():
            console.print(f"{row['streams']} at once: {count} × {printable(message)}")


def _shape(
    prompt_tokens: int, max_tokens: int, repeat: int, seconds: float | None
) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt_tokens,
        "max_tokens": max_tokens,
        "repeat": repeat,
        "seconds": seconds,
    }


def _row(answers: Sequence[Answered]) -> dict[str, Any]:
    """A summary as JSON: what was not measured is null."""
    import math
    from dataclasses import asdict

    from enginebay_server.bench import summarise

    summary = asdict(summarise(answer.times for answer in answers))
    prompts = [answer.prompt_tokens for answer in answers if answer.prompt_tokens is not None]
    mean = sum(prompts) / len(prompts) if prompts else math.nan
    row = {**summary, "prompt_tokens": mean}
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in row.items()
    }


def _counted_by(answer: Answered) -> str:
    return "chunks" if answer.times.counted is None else "the server's usage"


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        str(row["streams"]),
        str(row["answers"]),
        _number(row["prompt_tokens"], "{:.0f}"),
        str(row["tokens"]),
        _number(row["tokens_per_second"], "{:.1f}"),
        *(_milliseconds(row[key]) for key in ("ttft_p50", "ttft_p99", "gap_p50", "gap_p99")),
        str(sum(row["errors"].values())),
    ]


def _milliseconds(seconds: float | None) -> str:
    return _number(None if seconds is None else 1000 * seconds, "{:.1f} ms")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
