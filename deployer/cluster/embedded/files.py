"""Write what a cluster is made of: readable by its owner alone, and in folders that come with it."""

from __future__ import annotations

from pathlib import Path

from deployer import files

_PRIVATE = 0o600


def write_private(path: Path, content: bytes | str) -> None:
    """Write a file with mode 0600, whole and on the disk or not at all; one that is so already is left alone.

    Args:
        path: where; its folder is made if missing.
        content: bytes, or text that is written as UTF-8.
    """
    wanted = content.encode() if isinstance(content, str) else content
    if not _is(path, wanted):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_private(path, wanted)


def _is(path: Path, wanted: bytes) -> bool:
    try:
        return path.read_bytes() == wanted and path.stat().st_mode & 0o777 == _PRIVATE
    except FileNotFoundError:
        return False
