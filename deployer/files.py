"""Write files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file that others may read, and that never has its name before all of it is there.

    Args:
        path: where, in a folder that is there.
        content: bytes, or text that is written as UTF-8.
    """
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(_encoded(content))
    part.replace(path)


def write_private(path: Path, content: bytes | str) -> None:
    """Write a file with mode 0600, whole and on the disk or not at all.

    Args:
        path: where, in a folder that is there.
        content: bytes, or text that is written as UTF-8.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_encoded(content))
        file.flush()
        os.fsync(file.fileno())  # a lost encryption key would be lost Secrets
    fresh.replace(path)


def _encoded(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content
