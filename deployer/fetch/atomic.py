"""Make things whole or not at all, and one maker at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock beside `path` while making it, against other processes of this machine.

    The lock ends with its holder, so a killed process blocks nobody.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def staging(path: Path) -> Iterator[Path]:
    """Give a fresh folder beside `path` to work in; it is gone afterwards, whatever happened.

    A folder that a killed process left is removed by the next one that works on the same path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.part-"
    for left in path.parent.glob(f"{prefix}*"):
        if not _alive(left.name.removeprefix(prefix).split("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settle(new: Path, path: Path) -> None:
    """Put a finished file in its place, on disk before it has its name: a power cut leaves all of it or none."""
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(path)


def replace_folder(new: Path, path: Path) -> None:
    """Put a finished folder in the place of another, which may be there already."""
    if path.exists():
        old = new.with_name(f"{new.name}.old")
        path.rename(old)
        new.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.rename(path)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
