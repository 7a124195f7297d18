"""Where exports lie, and how a directory comes to be there whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from enginebay_core.api import Progress

POLL_SECONDS: Final = 0.2
PARTIAL: Final = ".partial."
WAITING: Final = "waiting for another process that makes the same export"


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/enginebay``, by default ``~/.cache/enginebay``."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "enginebay"


def exports_root() -> Path:
    """Where a first serve puts exports. All that lies in it is ours."""
    return cache_root() / "exports"


def publish(target: Path, build: Callable[[Path], None], progress: Progress) -> None:
    """Make the directory ``target`` by ``build``, which is given an empty one to fill; returns at
    once where it is there already, also when another process has made it meanwhile.

    ``target`` appears complete and on the disk, or not at all: what is killed half-way leaves only
    a hidden directory beside it, which the next attempt removes; in the cache, one at any target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target, progress, WAITING):
        if is_made(target):
            return
        remove_leftovers(target)
        made = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        try:
            build(made)
            made.chmod(0o755)  # mkdtemp's is the owner's alone
            sync_tree(made)
            made.rename(target)  # over an empty directory, which a user may have made
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        sync(target.parent)


def is_made(target: Path) -> bool:
    return target.is_dir() and any(target.iterdir())


@contextmanager
def locked(target: Path, progress: Progress, waiting: str) -> Iterator[int]:
    """One process at a time; the system lifts the lock of a process that dies, and of those to
    which it had passed on the descriptor that this gives. ``waiting`` is told meanwhile.
    """
    with _open_lock(target) as lock:
        while not _try_lock(lock.fileno()):
            progress(waiting)
            time.sleep(POLL_SECONDS)
        yield lock.fileno()


def remove_leftovers(target: Path) -> None:
    """Of attempts that were killed; call with the lock held. In the cache of those at other
    targets too: a model or a release that is gone is never tried again.
    """
    for left in target.parent.glob(f"{_prefix(target)}*"):
        shutil.rmtree(left, ignore_errors=True)
    if target.parent.resolve() == exports_root().resolve():  # elsewhere it may not be ours
        for left in target.parent.glob(f".*{PARTIAL}*"):
            _remove_unless_held(left)


def _remove_unless_held(left: Path) -> None:
    """Whoever is still at work on it holds the lock of its target."""
    name = left.name.removeprefix(".").rpartition(PARTIAL)[0]
    with _open_lock(left.with_name(name)) as lock:
        if _try_lock(lock.fileno()):
            shutil.rmtree(left, ignore_errors=True)


def discard(target: Path) -> None:
    """Whoever looks finds it whole or not at all; call with the lock held."""
    aside = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    target.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def sync_tree(directory: Path) -> None:
    """To the disk, files before the directories that name them."""
    for folder, _, files in os.walk(directory, topdown=False):
        for name in files:
            sync(Path(folder, name))
        sync(Path(folder))


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(file: Path, text: str) -> None:
    """A reader finds the old text or the new one, never half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
    Path(name).rename(file)


def _prefix(target: Path) -> str:
    return f".{target.name}{PARTIAL}"


def _open_lock(target: Path) -> TextIO:
    name = hashlib.sha256(str(target.resolve()).encode()).hexdigest()
    file = cache_root() / "locks" / f"{name}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file.open("w")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
