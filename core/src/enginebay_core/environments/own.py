"""Distributions of this installation, to be installed elsewhere exactly as they are here: from a
checkout, an editable install or a wheel alike, without a build tool or a network.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from enginebay_core.api import PluginNotFound

GROUP: Final = "enginebay."
CACHES: Final = "__pycache__"
METADATA: Final = ("METADATA", "entry_points.txt")
WHEEL: Final = (
    "Wheel-Version: 1.0\nGenerator: enginebay\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
)


@dataclass(frozen=True, slots=True)
class OwnDistribution:
    """``packages`` are folders by their name; they are those that its entry points lead into."""

    name: str
    version: str
    metadata: dict[str, str]
    packages: dict[str, Path]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Everything that an installed copy has, by its name in a wheel; in order."""
        for package, folder in sorted(self.packages.items()):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and CACHES not in path.parts:
                    yield f"{package}/{path.relative_to(folder).as_posix()}", path.read_bytes()
        for name, text in sorted(self.metadata.items()):
            yield f"{self._stem}.dist-info/{name}", text.encode()

    @property
    def content(self) -> str:
        """A sha256 that is the same for the same code, wherever and however it is installed."""
        digest = hashlib.sha256()
        for name, data in self.files():
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()

    def write_wheel(self, folder: Path) -> Path:
        wheel = folder / f"{self._stem}-py3-none-any.whl"
        info = f"{self._stem}.dist-info"
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            lines = []
            for name, data in [*self.files(), (f"{info}/WHEEL", WHEEL.encode())]:
                archive.writestr(name, data)
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
                lines.append(f"{name},sha256={digest.decode()},{len(data)}")
            archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,"]) + "\n")
        return wheel

    @property
    def _stem(self) -> str:
        return f"{re.sub(r'[-_.]+', '_', self.name).lower()}-{self.version}"


def find_own(name: str) -> OwnDistribution:
    """Raises PluginNotFound when it is not installed here."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise PluginNotFound(
            f"{name!r} belongs into the environment and is not installed here, where it would be "
            "taken from. EngineBay's own are folders of its checkout: pip install ./backends/NAME "
            "or ./plugins/NAME"
        ) from None
    metadata = {file: found.read_text(file) or "" for file in METADATA}
    return OwnDistribution(found.name, found.version, metadata, _packages(found))


def _packages(found: importlib.metadata.Distribution) -> dict[str, Path]:
    """What is imported here: of an editable install, the installer has written down no files."""
    points = [point for point in found.entry_points if point.group.startswith(GROUP)]
    names = {point.value.partition(":")[0].partition(".")[0] for point in points}
    folders = {}
    for name in sorted(names):
        spec = importlib.util.find_spec(name)
        places = spec.submodule_search_locations if spec else None
        if places:
            folders[name] = Path(next(iter(places)))
    return folders
