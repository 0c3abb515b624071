"""Write files whole or not at all."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from pathlib import Path

_OTHERS_READ, _OTHERS_RUN, _OWNER_ALONE = 0o666, 0o777, 0o600  # less what the umask takes
# Whatever PYTHONPATH, user site or working directory say.
_PROGRAM = """#!/bin/sh
exec {python} -I -c {code} "$@"
"""


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file that others may read, and that never has its name before all of it is there.

    Args:
        path: where, in a folder that is there.
        content: bytes, or text that is written as UTF-8.
    """
    _write(path, content, _OTHERS_READ, sync=False)


def write_private(path: Path, content: bytes | str) -> None:
    """Write a file with mode 0600, whole and on the disk or not at all.

    Args:
        path: where, in a folder that is there.
        content: bytes, or text that is written as UTF-8.
    """
    _write(path, content, _OWNER_ALONE, sync=True)  # a lost encryption key would be lost Secrets


def write_program(path: Path, code: str) -> None:
    """Write an executable file as `program` words it, unless it is there.

    Args:
        path: where, in a folder that is there.
        code: what it runs.
    """
    text = program(code)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        _write(path, text, _OTHERS_RUN, sync=False)


def program(code: str) -> str:
    """Return the text of an executable file that runs some Python in the environment that runs this command.

    Args:
        code: what to run.
    """
    return _PROGRAM.format(python=shlex.quote(sys.executable), code=shlex.quote(code))


def _write(path: Path, content: bytes | str, mode: int, *, sync: bool) -> None:
    # Two that write the same file at once, two `up` for instance, must not write into each other's part.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
