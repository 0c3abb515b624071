"""Take away a lock that an update left behind, once a person has seen whose it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployer.checks import load_settings
from deployer.errors import UsageError
from deployer.project import load_project
from deployer.pulumi_process import Pulumi, is_engine
from deployer.report import Report
from deployer.stack import open_stack
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Lock:
    """Say who holds a stack.

    Attributes:
        owner: user@machine.
        pid: the engine's process there.
        since: when it began.
        alive: whether it still runs; None when it is of another machine, which cannot be asked.
    """

    owner: str
    pid: int
    since: str
    alive: bool | None

    def __str__(self) -> str:
        state = {True: "still running", False: "no longer running", None: "of another machine, which cannot be asked"}
        return f"{self.owner}, process {self.pid}, since {self.since}: {state[self.alive]}"


def unlock(workspace: Workspace, stack: str, report: Report, *, confirm: Callable[[str], bool]) -> list[Lock]:
    """Remove a stack's locks and return whose they were.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        report: where progress goes.
        confirm: is asked first, with the owners in the question.

    Raises:
        UsageError: not confirmed, or an update of this machine is still running.
    """
    pulumi = open_stack(workspace, stack, load_settings(workspace, stack), report)
    if not pulumi.is_kept_here:
        return _unlock_elsewhere(pulumi, confirm)
    locks = find_locks(workspace, stack)
    if not locks:
        return []
    running = [lock for lock in locks if lock.alive]
    if running:
        raise UsageError(
            f"Stack {stack} is being updated: {running[0]}.",
            advice="Stop that one with Ctrl-C where it runs, or with `kill -INT`; it saves its state and unlocks.",
        )
    question = f"Stack {stack} is locked by {'; '.join(map(str, locks))}. Two updates at once would damage its state."
    if not confirm(question):
        raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
    pulumi.read("cancel", "--yes")
    return locks


def _unlock_elsewhere(pulumi: Pulumi, confirm: Callable[[str], bool]) -> list[Lock]:
    """Remove the lock in a place that others share; the engine does not say whose it is."""
    where = pulumi.environ["PULUMI_BACKEND_URL"]
    question = (
        f"Whatever update of stack {pulumi.stack} holds its lock in {where} is taken for dead. If it is not, the two "
        "would damage its state."
    )
    if not confirm(question):
        raise UsageError(
            "Not confirmed; nothing was changed.", advice="Ask who deploys; then answer yes, or give --yes."
        )
    pulumi.read("cancel", "--yes")
    return [Lock(owner=f"somebody in {where}", pid=0, since="an unknown time", alive=None)]


def find_locks(workspace: Workspace, stack: str) -> list[Lock]:
    """List who holds a stack of this checkout's own backend."""
    project = load_project(workspace)["name"]
    folder = workspace.state / "backend" / ".pulumi" / "locks" / "organization" / project / stack
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Lock:

    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        told = {}
    pid, host = int(told.get("pid") or 0), str(told.get("hostname") or os.uname().nodename)
    return Lock(
        owner=f"{told.get('username') or 'somebody'}@{host}",
        pid=pid,
        since=str(told.get("timestamp") or "an unknown time"),
        alive=is_engine(pid) if host == os.uname().nodename else None,
    )
