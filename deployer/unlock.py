"""Take away a lock that an update left behind, once a person has seen whose it is."""

from __future__ import annotations

from collections.abc import Callable

from deployer.checks import load_settings
from deployer.errors import UsageError
from deployer.locks import Lock, find_locks
from deployer.pulumi_process import Pulumi
from deployer.report import Report
from deployer.stack import open_stack
from deployer.workspace import Workspace


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
