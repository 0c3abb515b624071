"""Know a finished file or folder again, and tell when something has changed it since.

A disk that was full, a copy that broke off, a hand that slipped: what is in the cache is whole when it gets its name,
and need not be so a month later. To look costs no time, since a file's size and time of change say that nobody wrote
to it; only where they differ is all of it read.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path


def seal(path: Path) -> None:
    """Note what a finished file is, beside it.

    Args:
        path: the file.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _note(path, {**_looks(path), "sha256": digest})


def is_intact(path: Path) -> bool:
    """Return whether a file is there and as it was sealed; one that never was, of an earlier version, is sealed now.

    Args:
        path: the file.
    """
    if not path.is_file():
        return False
    sealed = _sealed(path)
    if not sealed.get("sha256"):
        seal(path)
        return True
    if all(sealed.get(key) == value for key, value in _looks(path).items()):
        return True
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sealed["sha256"]:
            return False
    _note(path, {**sealed, **_looks(path)})
    return True


def seal_folder(folder: Path) -> None:
    """Note what a finished folder holds, beside it.

    Args:
        folder: the folder.
    """
    _note(folder, {"holds": _holds(folder)})


def is_folder_intact(folder: Path) -> bool:
    """Return whether a folder is there and nobody changed, added or took away a file since it was sealed.

    What is made of files that are kept is made again in no time: their sizes and times are enough.

    Args:
        folder: the folder.
    """
    if not folder.is_dir():
        return False
    held = _sealed(folder).get("holds")
    if not held:
        seal_folder(folder)
        return True
    return bool(held == _holds(folder))


def _holds(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        looks = {"link": str(path.readlink())} if path.is_symlink() else _looks(path) if path.is_file() else {}
        digest.update(json.dumps([str(path.relative_to(folder)), looks]).encode())
    return digest.hexdigest()


def _looks(path: Path) -> dict[str, int]:
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def _sealed(path: Path) -> dict[str, str | int]:
    try:
        noted = json.loads(_place(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _note(path: Path, what: dict[str, str | int]) -> None:
    # Several that find the same at the same moment write the same; each under a name of its own until it is whole.
    descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.seal-", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(what, file)
    Path(part).replace(_place(path))


def _place(path: Path) -> Path:
    return path.with_name(f".{path.name}.seal")
