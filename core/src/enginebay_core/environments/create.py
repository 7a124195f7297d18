"""Makes environments: all of one, what is left of one that was begun, or what has changed since."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from enginebay_core.api import ModelError, PluginNotFound, Progress
from enginebay_core.environments.declaration import CORE, Environment, find_environment
from enginebay_core.environments.installer import (
    LOG,
    Installer,
    choose_installer,
    make_venv,
    run_logged,
)
from enginebay_core.environments.own import OwnDistribution
from enginebay_core.environments.place import environments_root, interpreter_in, place_of
from enginebay_core.environments.probe import prove
from enginebay_core.environments.record import RECORD, Record, read_record, write_record
from enginebay_core.environments.state import (
    State,
    is_finished,
    look_at,
    own_distributions,
    wanted,
)
from enginebay_core.export.place import locked

WAITING = "waiting for another process that makes the same environment"


def create_environment(name: str, progress: Progress, index: str | None = None) -> Record:
    """Returns at once where it is ready. ``index`` is one more package index.

    Safe to repeat after a failure or a kill, and for two at once: the second waits and finds it
    made. Raises PluginError for a name that nobody declares, ModelError when it cannot be made.
    """
    environment = find_environment(name)
    place = place_of(name)
    with locked(place, progress, WAITING) as lock:
        condition = look_at(environment)
        if condition.state is State.READY and condition.record is not None:
            return condition.record
        own = own_distributions(environment)
        work = Work(environment, own, place, lock, index, progress)
        try:
            record = work.install()
            return work.prove(record)
        except ModelError as error:
            raise ModelError(f"environment {name!r} could not be made: {error}") from error


def remove_environment(name: str, progress: Progress) -> Path:
    """Also one that nobody declares any more. Raises PluginNotFound where there is none."""
    root = environments_root()
    made = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    if name not in made:
        raise PluginNotFound(
            f"there is no environment {name!r} to remove (made: {', '.join(made) or 'none'})"
        )
    place = place_of(name)
    with locked(place, progress, WAITING):
        wipe(place)
    return place


def wipe(place: Path) -> None:
    """The record first: what is left by a kill half-way is then no environment."""
    (place / RECORD).unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    if place.exists():
        raise ModelError(f"{place} cannot be removed; remove it by hand")


@dataclass(frozen=True)
class Work:
    """One attempt. ``lock`` is the open file whose lock it holds."""

    environment: Environment
    own: list[OwnDistribution]
    place: Path
    lock: int
    index: str | None
    progress: Progress

    def install(self) -> Record:
        """Everything, unless what comes from an index is already there as it should be."""
        record = read_record(self.place)
        installer = choose_installer(interpreter_in(self.place))
        with tempfile.TemporaryDirectory(prefix="enginebay-wheels-") as folder:
            wheels = {one.name: one.write_wheel(Path(folder)) for one in self.own}
            if is_finished(record, self.place) and record.wanted == wanted(self.environment):
                self.progress("installing EngineBay's own code")
                self._run(installer.reinstall(list(wheels.values())))
            else:  # one that was never proved may lack anything
                self._install_all(installer, wheels)
        own = {one.name: one.content for one in self.own}
        record = Record(
            name=self.environment.name,
            installer=installer.name,
            wanted=wanted(self.environment),
            own=own,
        )
        write_record(self.place, record)
        return record

    def prove(self, record: Record) -> Record:
        """Import what the plugin names, in the environment itself."""
        imports = self.environment.said.imports
        self.progress(f"importing {', '.join(imports)}")
        found = prove(interpreter_in(self.place), imports, record.own[CORE])
        proved = record.model_copy(update={"installed": found.installed, "proved": True})
        write_record(self.place, proved)
        return proved

    def _install_all(self, installer: Installer, wheels: dict[str, Path]) -> None:
        """Into a new one: what a killed installer left is not to be trusted. What it had downloaded
        lies in the installer's cache.
        """
        self.progress(f"making {self.place}")
        wipe(self.place)
        make_venv(self.place)
        extras = self.environment.own
        ours = [f"{name}{extras[name]} @ {wheel.as_uri()}" for name, wheel in wheels.items()]
        pins = ("-c", self.environment.constraints)
        requirements = [*self.environment.foreign, *ours]
        self.progress(f"installing: {self.environment.said.size}")
        self._run(installer.install(*pins, *requirements, index=self.index))

    def _run(self, command: list[str]) -> None:
        run_logged(command, self.place / LOG, self.lock, self.progress)
