"""Let one command at a time change the secrets of a checkout."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from deployer.report import Report
from deployer.workspace import Workspace


@contextmanager
def alone(workspace: Workspace, report: Report) -> Iterator[None]:
    """Wait until no other command of this checkout changes its secrets, and keep others waiting meanwhile.

    Two at once would each make a salt, and what the first had encrypted could never be opened again. The kernel lets
    go of the lock when a process ends, however it ends.

    Args:
        workspace: the checkout.
        report: where it is said that another one is waited for.
    """
    workspace.state.mkdir(parents=True, exist_ok=True)
    lock = os.open(workspace.state / "secrets.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report.note("another command is changing secrets here; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
