"""Write a few texts into one compressed file that only its owner can read, and read them back."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from deployer.files import write_private

# A state of a thousand resources has a few megabytes; what unpacks to far more was made to.
MOST_BYTES = 256 * 1024 * 1024


def write_archive(path: Path, files: Mapping[str, str]) -> None:
    """Write texts by name into a .tar.gz, whole or not at all."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    write_private(path, buffer.getvalue())


def read_archive(path: Path) -> dict[str, str]:
    """Return the texts of such a file; nothing is unpacked onto the disk.

    Raises:
        OSError: it cannot be read.
        tarfile.TarError: it is none, or damaged.
        ValueError: it is too large, or holds something other than text.
    """
    files: dict[str, str] = {}
    left = MOST_BYTES
    with tarfile.open(path, mode="r:gz") as archive:
        for member in archive:
            left -= member.size
            content = archive.extractfile(member) if member.isfile() and left >= 0 else None
            if content is None:
                raise ValueError(member.name)
            files[member.name] = content.read().decode()
    return files
