"""Know who holds a stack of this checkout's own backend, and take away what a dead engine left."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployError
from deployer.project import load_project
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Lock:
    """Say who holds a stack.

    Attributes:
        owner: user@machine.
        pid: the engine's process there.
        since: when it began.
        alive: whether it still runs; None when it is of another machine, which cannot be asked.
        path: its file; None where it lies in a place that others share.
    """

    owner: str
    pid: int
    since: str
    alive: bool | None
    path: Path | None = None

    def __str__(self) -> str:
        state = {True: "still running", False: "no longer running", None: "of another machine, which cannot be asked"}
        return f"{self.owner}, process {self.pid}, since {self.since}: {state[self.alive]}"


def find_locks(workspace: Workspace, stack: str) -> list[Lock]:
    """List who holds a stack."""
    project = load_project(workspace)["name"]
    folder = workspace.state / "backend" / ".pulumi" / "locks" / "organization" / project / stack
    # What a full disk cut short has not its name yet, and still the engine reads all that is there.
    return [_read(path) for path in sorted(folder.glob("*")) if path.is_file()]


def remove_dead_locks(workspace: Workspace, stack: str) -> int:
    """Remove locks whose owner is gone, which a killed engine leaves behind.

    Returns:
        How many there were.

    Raises:
        DeployError: another update of the stack is under way.
    """
    removed = 0
    for lock in find_locks(workspace, stack):
        if lock.alive is not False or lock.path is None:
            raise DeployError(
                f"Stack {stack} is being updated by another process "
                f"(pid {lock.pid} of {lock.owner}, since {lock.since}).",
                advice="Wait for it to end. If it hangs, stop it with Ctrl-C where it runs; nothing is lost.",
            )
        lock.path.unlink(missing_ok=True)
        removed += 1
    return removed


def _read(path: Path) -> Lock:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    pid, host = int(told.get("pid") or 0), str(told.get("hostname") or os.uname().nodename)
    return Lock(
        owner=f"{told.get('username') or 'somebody'}@{host}",
        pid=pid,
        since=str(told.get("timestamp") or "an unknown time"),
        alive=_is_engine(pid) if host == os.uname().nodename else None,
        path=path,
    )


def _is_engine(pid: int) -> bool:
    """Tell whether a process is alive and an engine; process numbers are used again."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(b"pulumi" in argument for argument in arguments[:3])
