"""``enginebay compare``."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from enginebay_server.cli.arguments import AsJson, ConfigFile, parse_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from enginebay_core.compare import Comparison, Named, Question, Thresholds

DIFFERS: Final = 1
CANNOT: Final = 2


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A", help="What is known good: a model of the config; with --model, a backend."
        ),
    ],
    b: Annotated[
        str, typer.Argument(metavar="B", help="What is to take its place: likewise, or A again.")
    ],
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A Hugging Face id, a directory or an installed model: A and B are then backends "
            "that run it, and no config is read.",
        ),
    ] = None,
    option_a: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="With --model, one of A's backend's own options; repeatable."
        ),
    ] = None,
    option_b: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="The same for B; repeatable.")
    ] = None,
    config: ConfigFile = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Your own questions, one a line: a text, or JSON with messages. Default: 19 "
            "bundled ones.",
        ),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Length of each answer at most.")] = 64,
    tolerance: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="How far two honest logits may lie apart. Default: by the coarser of both "
            "precisions, 0.001 for float32, 0.1 for float16, 0.4 for all others.",
        ),
    ] = None,
    allow: Annotated[
        int, typer.Option(min=0, help="How many answers may differ by more than rounding.")
    ] = 0,
    max_mean_drift: Annotated[
        float | None, typer.Option(min=0, help="Bound of the mean log-probability drift.")
    ] = None,
    max_kl: Annotated[
        float | None, typer.Option(min=0, help="Bound of the mean KL divergence.")
    ] = None,
    min_speed: Annotated[
        float | None, typer.Option(min=0, help="B's tokens/s as a share of A's, at least.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw it, every token a cell.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Say whether one engine can take another's place, token by token.

    A answers each question with its likeliest tokens, then B does. Where B parts from A it is led
    along A's answer, and all places are compared. A difference is rounding where A was near a tie
    (its lead under twice the tolerance) and no log probability drifts by more than that; else it
    is real. The models are opened as `enginebay serve` opens them, one after the other.

    \b
    Exit codes, for pipelines:
      0  B passes for A: the same, or rounding, within the thresholds
      1  it does not
      2  they cannot be compared: a model does not load, or a threshold is on what an engine does
         not tell

    \b
    --json prints {"format": 1, "passed", "objections": [...], "a" and "b": {"name", "backend",
    "model", "precision", "identity": {"revision", "versions", …}, "facts", "context_length",
    "no_logprobs_because", "speed": {"answers", "first_token", "tokens_per_second"}},
    "tolerance", "counts": {"same", "rounding", "real", "unclear", "refused"}, "drift":
    {"places", "worst", "mean", "kl", "worst_kl"}, "speed",
    "questions": [{"question", "same_prompt", "prompts_part_at", "a" and "b": {"prompt_tokens",
    "ids", "finish"} or {"refused"}, "verdict", "reason", "parted": {"index", "ids", "texts",
    "margin"}, "drift"}]}; null is what could not be measured or did not happen.

    \b
    Examples:
      enginebay compare numpy transformers --model pocket
      enginebay compare qwen3 qwen3-cpu --config team.toml --prompts questions.jsonl
      enginebay compare transformers transformers -m pocket --option-b dtype=bfloat16
      enginebay compare numpy onnx -m pocket --max-kl 0.001 --json --picture swap.svg
    """
    from enginebay_core.compare import Thresholds

    chosen = choose(a, b, model, option_a, option_b, config=config)
    thresholds = Thresholds(tolerance, allow, max_mean_drift, max_kl, min_speed)
    if picture is not None:
        require_drawable(picture)
    with failing_as(CANNOT):
        questions = read(prompts)
        found, problems = measure(chosen, questions, max_tokens, thresholds)
        if picture is not None:
            draw(picture, found, problems)
    show(found, problems, json=json)
    if problems:
        raise typer.Exit(DIFFERS)


def choose(
    a: str,
    b: str,
    model: str | None,
    option_a: list[str] | None,
    option_b: list[str] | None,
    *,
    config: Path | None,
) -> tuple[Named, Named]:
    from enginebay_core.compare import Named
    from enginebay_server.cli.model_choice import model_tables, parse_model

    labels = (a, b) if a != b else (f"{a} (A)", f"{b} (B)")
    if model is None:
        if option_a or option_b:
            raise typer.BadParameter(
                "the config says all about its models; it goes with --model alone",
                param_hint="--option-a, --option-b",
            )
        found = [configured(name, config) for name in (a, b)]
    else:
        if config is not None:
            raise typer.BadParameter(
                "a config has its own models; give either --config or --model",
                param_hint="--config",
            )
        sides = ((a, option_a, "--option-a"), (b, option_b, "--option-b"))
        tables = [model_tables(model, name, parse_pairs(said, flag)) for name, said, flag in sides]
        with failing_as(CANNOT):
            found = [parse_model(table)[1] for table in tables]
    return Named(labels[0], found[0]), Named(labels[1], found[1])


def configured(name: str, file: Path | None) -> Any:
    from enginebay_server.cli.layers import read_layers

    with failing_as(CANNOT):
        models = read_layers(file, {}).settings().models
    for known, config in models.items():
        if name == known or name in config.aliases:
            return config
    raise typer.BadParameter(
        f"the config has no model {name!r}; it has {', '.join(models)}. To compare two backends, "
        "name the model that they run with --model",
        param_hint="A, B",
    )


def read(file: Path | None) -> Sequence[Question]:
    from enginebay_core.compare import bundled_questions
    from enginebay_server.cli.questions import read_questions

    return bundled_questions() if file is None else read_questions(file)


def measure(
    chosen: tuple[Named, Named],
    questions: Sequence[Question],
    max_tokens: int,
    thresholds: Thresholds,
) -> tuple[Comparison, list[str]]:
    from enginebay_core.compare import compare as compare_models
    from enginebay_core.compare import objections
    from enginebay_server.cli.progress import show_progress

    check(chosen)
    a, b = chosen
    with show_progress(f"comparing {a.name} and {b.name}") as progress:
        found = compare_models(a, b, questions, thresholds, progress, max_tokens=max_tokens)
    return found, list(objections(found, thresholds))


def check(chosen: tuple[Named, Named]) -> None:
    """What can be known before A has been asked for minutes. Raises ConfigError, PluginError or
    ModelError.
    """
    from enginebay_core.plugins import require_model_name
    from enginebay_server.cli.config_check import check_environment
    from enginebay_server.config import Settings
    from enginebay_server.config.check import check_models

    alone = {one.name: one.config.model_copy(update={"aliases": []}) for one in chosen}
    check_models(Settings(models=alone))
    for one in chosen:
        require_model_name(one.config.model)
        check_environment(one.name, one.config)


def require_drawable(file: Path) -> None:
    if file.suffix.lower() != ".svg":
        raise typer.BadParameter(
            f"{str(file)!r} does not end in .svg, the one format that is drawn",
            param_hint="--picture",
        )
    if not file.expanduser().resolve().parent.is_dir():
        raise typer.BadParameter(
            f"there is no directory {str(file.parent)!r}", param_hint="--picture"
        )


def draw(file: Path, found: Comparison, problems: Sequence[str]) -> None:
    from enginebay_server.cli.compare_picture import picture_of

    file.expanduser().write_text(picture_of(found, problems), encoding="utf-8")


def show(found: Comparison, problems: Sequence[str], *, json: bool) -> None:
    from enginebay_core.compare import as_json
    from enginebay_server.cli.compare_text import print_comparison
    from enginebay_server.cli.output import print_json

    if json:
        print_json(as_json(found, problems))
    else:
        print_comparison(found, problems)


@contextmanager
def failing_as(code: int) -> Iterator[None]:
    """A failure of any kind must not read as a difference: it ends with ``code``."""
    from enginebay_core.api import EngineBayError

    try:
        yield
    except EngineBayError as error:
        typer.echo(f"enginebay: {error}", err=True)
        raise typer.Exit(code) from None
    except Exception:
        typer.echo(traceback.format_exc(), err=True)
        raise typer.Exit(code) from None
