"""``enginebay export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enginebay_server.cli.arguments import AsJson

if TYPE_CHECKING:
    from enginebay_core.export import Manifest


def export(
    model: Annotated[
        str, typer.Argument(help="A Hugging Face id, a directory or an installed model.")
    ],
    out: Annotated[Path, typer.Argument(help="The directory to make; new, or empty.")],
    *,
    to: Annotated[
        str, typer.Option("--to", help="The format: `enginebay plugins list` shows the exporters.")
    ],
    precision: Annotated[
        str | None, typer.Option(help="fp32, int8, … as the format has them. Default: its first.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Make a model into another runtime's files, prove them, keep them with a manifest.

    The result is compared with the checkpoint, computed in float32 by another backend: each prompt
    alone, several at once, in chunks. What does not agree is not kept. OUT then serves as any model
    does: `enginebay serve OUT --backend FORMAT`. Serving a checkpoint on such a backend exports it
    by itself, into ~/.cache/enginebay.

    \b
    --json prints the manifest, which is also OUT/enginebay-export.json.

    \b
    Examples:
      enginebay export pocket ./pocket-onnx --to onnx
      enginebay export Qwen/Qwen3-0.6B ./qwen3-int8 --to onnx --precision int8
    """
    from enginebay_core.export import export_model
    from enginebay_core.plugins import resolve_model
    from enginebay_server.cli.output import print_json
    from enginebay_server.cli.progress import show_progress

    with show_progress(f"exporting {model}") as progress:
        directory = resolve_model(model, progress)
        manifest = export_model(
            directory, to, out.expanduser(), progress, precision=precision, source=model
        )
    if json:
        print_json(manifest.model_dump())
    else:
        print_manifest(out, manifest)


def print_manifest(out: Path, manifest: Manifest) -> None:
    from enginebay_server.cli.output import open_console, print_table

    size = sum(record.size for record in manifest.files.values())
    parity = manifest.parity
    rows = [
        ("made", f"{out}, {size / 1e6:.1f} MB, {manifest.precision}"),
        ("of", f"{manifest.source}, content {manifest.source_sha256[:12]}"),
        ("with", ", ".join(f"{name} {version}" for name, version in manifest.tools.items())),
        ("compared with", f"backend {parity.reference!r} in float32: {', '.join(parity.passed)}"),
        ("differs by", f"{parity.worst:.1e} of the largest logit; {parity.tolerance:g} would do"),
        ("serve it", f"enginebay serve {out} --backend {manifest.format}"),
    ]
    print_table(open_console(), [], rows)
