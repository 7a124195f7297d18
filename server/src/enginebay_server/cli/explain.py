"""``enginebay explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from enginebay_server.cli.arguments import AsJson, ConfigFile, OptionPairs, parse_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from enginebay_core.config import ModelConfig
    from enginebay_core.placement import RunningModel
    from enginebay_server.explain import Way


def explain(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the user says.")],
    *,
    system: Annotated[str | None, typer.Option(help="The system message.")] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="A Hugging Face id, a directory or an installed model."),
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", "-b", help="What runs the model.")
    ] = None,
    option: OptionPairs = None,
    config_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="A model of the config instead.")
    ] = None,
    config: ConfigFile = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, max=1024, help="Length of the answer at most.")
    ] = 128,
    json: AsJson = False,
) -> None:
    """Show the way of a request, with real values at every stop.

    Messages, the template's text, prompt ids, the ids that the model chose and how sure it was,
    the answer's text, the JSON and the stream that a client gets: each with the file that does
    it. The model is loaded for this and always takes the most likely token. Without --model or
    --config-model it is the bundled one. A running server shows the same on its page, and at
    POST /explain.

    \b
    --json prints {"model", "backend", "request", "template", "prompt": [{"ids", "text",
    "control"}], "ids", "cut", "output": [{"id", "text", "control", "probability",
    "alternatives": [{"id", "text", "control", "probability"}]}], "stop_ids", "finish",
    "reasoning", "content", "completion", "stream": [...], "files": {stop: [...]}}.

    \b
    Examples:
      enginebay explain "你好"
      enginebay explain "Hello!" --system "Be brief." --max-tokens 16
      enginebay explain "Hello!" --model ./checkpoint --backend transformers
    """
    from enginebay_server.cli.output import print_json

    options = parse_pairs(option, "--option")
    name, chosen = _choose(model, backend, options, config_model, config)
    way = _walk(name, chosen, text, system, max_tokens)
    if json:
        print_json(way.as_json())
        return
    from enginebay_server.cli.way_text import print_way

    print_way(way)


def _walk(name: str, chosen: ModelConfig, text: str, system: str | None, max_tokens: int) -> Way:
    import asyncio

    from enginebay_core.placement import open_model
    from enginebay_server.cli.progress import show_progress

    with show_progress(f"loading {name}") as progress:
        running = open_model(name, chosen, progress)
    try:
        body = _request(running.name, text, system, max_tokens)
        return asyncio.run(_explain(running, chosen, body))
    finally:
        running.close()


async def _explain(model: RunningModel, chosen: ModelConfig, body: dict[str, Any]) -> Way:
    from enginebay_server.explain import begin_walk
    from enginebay_server.parsers import choose_dialect
    from enginebay_server.prompt import PromptMaker
    from enginebay_server.schema.explain import ExplainRequest
    from enginebay_server.schema.reading import read

    fields, dialect = read(ExplainRequest, body), choose_dialect(model.tokenizer, chosen)
    prompts = PromptMaker(workers=1)
    try:
        walk = await begin_walk(fields, model, dialect, prompts, reject_unknown=True)
        return await walk.finish(body)
    finally:
        prompts.close()


def _request(model: str, text: str, system: str | None, max_tokens: int) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": max_tokens}


def _choose(
    model: str | None,
    backend: str | None,
    options: dict[str, Any],
    config_model: str | None,
    config: Path | None,
) -> tuple[str, ModelConfig]:
    from enginebay_server.cli.layers import read_layers
    from enginebay_server.cli.model_choice import model_tables, parse_model

    if config_model is None:
        if config is not None:
            raise typer.BadParameter(
                "name one of its models with --config-model", param_hint="--config"
            )
        return parse_model(model_tables(model, backend, options))
    if model is not None or backend or options:
        raise typer.BadParameter(
            "the config says all about its models; drop --model, --backend and --option",
            param_hint="--config-model",
        )
    models = read_layers(config, {}).settings().models
    if config_model not in models:
        raise typer.BadParameter(
            f"the config has no model {config_model!r}; it has {', '.join(models)}",
            param_hint="--config-model",
        )
    return config_model, models[config_model]
