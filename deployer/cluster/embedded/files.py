"""Write what a cluster is made of: readable by its owner alone, and in folders that come with it."""

from __future__ import annotations

from pathlib import Path

from deployer import files


def write_private(path: Path, content: bytes | str) -> None:
    """Write a file with mode 0600, whole and on the disk or not at all.

    Args:
        path: where; its folder is made if missing.
        content: bytes, or text that is written as UTF-8.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_private(path, content)
