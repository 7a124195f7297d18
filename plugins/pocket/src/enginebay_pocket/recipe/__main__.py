"""The commands of the recipe: train a checkpoint, score a checkpoint."""

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from enginebay_pocket import model
from enginebay_pocket.recipe.card import write_card
from enginebay_pocket.recipe.score import score
from enginebay_pocket.recipe.train import Settings, train


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the return value is the exit status."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.command == "train":
        return _train(options.out, options.steps)
    return _score(options.model, options.json, options.failures)


def _train(folder: Path, steps: int) -> int:
    began = time.monotonic()
    train(folder, replace(Settings(), steps=steps), _show)
    _show("scoring")
    result = score(folder)
    write_card(folder, result)
    _show(result.table())
    _show(f"done in {(time.monotonic() - began) / 60:.1f} min: {folder}")
    return 0


def _score(folder: Path, as_json: bool, failures: bool) -> int:
    result = score(folder)
    if as_json:
        _show(json.dumps(asdict(result), ensure_ascii=False, indent=2))
        return 0
    _show(result.table())
    if failures:
        for one in result.failures:
            _show(f"\n[{one.category}] {one.question}\n  {one.answer}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m enginebay_pocket.recipe", description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="write the corpus, train, score")
    training.add_argument(
        "--out", type=Path, default=model(), help="where the checkpoint goes (default: the package)"
    )
    training.add_argument(
        "--steps", type=int, default=Settings.steps, help="optimizer steps (default: %(default)s)"
    )
    scoring = commands.add_parser("score", help="answer the held-out questions and count")
    scoring.add_argument(
        "--model", type=Path, default=model(), help="a checkpoint (default: the one in the package)"
    )
    scoring.add_argument("--json", action="store_true", help="print JSON instead of a table")
    scoring.add_argument("--failures", action="store_true", help="show the wrong answers too")
    return parser


def _show(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
