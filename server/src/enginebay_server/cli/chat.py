"""``enginebay chat``."""

from __future__ import annotations

from typing import Annotated

import typer

from enginebay_server.cli.arguments import Key


def chat(
    url: Annotated[str, typer.Option(help="Base URL of any server with OpenAI's API.")] = (
        "http://127.0.0.1:8000/v1"
    ),
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Default: the first that the server lists.")
    ] = None,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    key: Key = None,
    once: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Ask this, print the answer and end.")
    ] = None,
) -> None:
    """Talk to a model, on any server with OpenAI's API.

    Ctrl-C stops an answer; a second one, or Ctrl-D, ends the chat. /help lists its commands.
    Without a terminal every line of stdin is a message; only answers go to stdout, thinking and
    counts to stderr, and the exit code is 1 when an answer failed.

    \b
    Examples:
      enginebay chat
      enginebay chat --url http://10.0.0.5:8000/v1 --model qwen3 --system "Answer in French."
      enginebay chat --once "Hello! Who are you?"
      echo "Hello!" | enginebay chat
    """
    from enginebay_server.cli.dialogue import Dialogue
    from enginebay_server.cli.remote import Remote, RemoteError
    from enginebay_server.cli.terminal import Terminal

    with Remote(url, key) as remote:
        if model is None:
            listed = [str(one["id"]) for one in remote.models()]
            if not listed:
                raise RemoteError(f"{remote.url} has no model")
            model = listed[0]
        dialogue = Dialogue(remote, model, system, Terminal())
        fine = dialogue.ask(once) if once is not None else dialogue.run()
    if not fine:
        raise typer.Exit(1)
