"""A chat with nothing but ``requests``: what the OpenAI SDK does for you, spelled out.

python requests_client.py --url http://127.0.0.1:8000/v1 --model pocket "你好!请介绍一下你自己。"
python requests_client.py --stream "Hello!"
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

import requests

SYSTEM = "你是一个乐于助人的 AI 助手。"


def ask(
    url: str, model: str, question: str, *, stream: bool, max_tokens: int = 512
) -> requests.Response:
    """The request as OpenAI describes it; raises for an error, with the server's own words."""
    answer = requests.post(
        f"{url}/chat/completions",
        json={
            "model": model,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": question},
            ],
            "temperature": 0.7,
            "top_p": 0.95,
            "max_tokens": max_tokens,
            "stream": stream,
        },
        stream=stream,
        timeout=120,
    )
    if not answer.ok:
        raise SystemExit(answer.json()["error"]["message"])
    return answer


def pieces(answer: requests.Response) -> Iterator[str]:
    """The texts of a stream as they come, until ``[DONE]``."""
    answer.encoding = "utf-8"
    for line in answer.iter_lines(decode_unicode=True):
        if not line.startswith("data: "):
            continue  # blank lines part the events, and lines with a colon in front are comments
        data = line.removeprefix("data: ")
        if data == "[DONE]":
            return
        event = json.loads(data)
        if "error" in event:
            raise SystemExit(event["error"]["message"])
        for choice in event["choices"]:
            yield choice["delta"].get("content") or ""


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a question of an OpenAI-compatible server.")
    parser.add_argument("question")
    parser.add_argument("--url", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--stream", action="store_true")
    given = parser.parse_args()
    answer = ask(
        given.url, given.model, given.question, stream=given.stream, max_tokens=given.max_tokens
    )
    if given.stream:
        for piece in pieces(answer):
            print(piece, end="", flush=True)
        print()
    else:
        whole = answer.json()
        print(whole["choices"][0]["message"]["content"])
        print("usage:", json.dumps(whole["usage"]))


if __name__ == "__main__":
    main()
