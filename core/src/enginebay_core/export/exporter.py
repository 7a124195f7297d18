"""What turns a checkpoint into the files that another runtime wants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, cast

from enginebay_core.api import Generator, Progress, StepEngine
from enginebay_core.export.reference import Reference
from enginebay_core.plugins import EXPORTERS, load_plugin


class Exporter(Protocol):
    """The entry point in ``enginebay.exporters.v1`` names a factory without arguments. Its name
    is the format that ``enginebay export --to`` takes. Making one must be cheap.
    """

    @property
    def precisions(self) -> tuple[str, ...]:
        """What can be written, the default first."""
        ...

    @property
    def references(self) -> tuple[Reference, ...]:
        """Who is to say what a checkpoint computes, in order of preference."""
        ...

    def versions(self, model: Path) -> Mapping[str, str]:
        """The tools whose release may change what is written for this model: an export made with
        others is made again. Raises ModelError where one is not installed.
        """
        ...

    def write(
        self, model: Path, out: Path, precision: str, progress: Progress
    ) -> Mapping[str, str]:
        """Write into ``out``, which is empty; no file of the checkpoint's own, core adds those.

        Returns facts for the manifest, for whoever opens the export. Raises ModelError.
        """
        ...

    def open(self, exported: Path, precision: str, progress: Progress) -> StepEngine | Generator:
        """Load what ``write`` wrote, on the CPU, so that the gate can compare it with the
        checkpoint. The manifest is not there yet. The caller closes it.
        """
        ...


def load_exporter(name: str) -> Exporter:
    """Raises PluginNotFound, PluginConflict or PluginBroken."""
    return cast("Exporter", load_plugin(EXPORTERS, name)())
