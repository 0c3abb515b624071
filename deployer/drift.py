"""Find out what somebody changed by hand: compare what is there with what the engine last left, and touch neither.

https://www.pulumi.com/docs/iac/cli/commands/pulumi_refresh/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer import cluster
from deployer.checks import load_settings
from deployer.contexts import find_cluster
from deployer.errors import DeployError
from deployer.events import Change, Outcome, Reader, parse_change
from deployer.locks import remove_dead_locks
from deployer.outputs import require_state
from deployer.preview import ShowOn, failure
from deployer.stack import is_embedded, open_stack
from deployer.steps import Display
from deployer.workspace import Workspace

_AS_IT_WAS = {"same", "refresh", "read"}
# What a Deployment's controller and an autoscaler write there is their work, and no one's drift.
_OWN_WORK = ("status", "metadata.generation", "metadata.resourceVersion", "metadata.managedFields")


class DriftReader(Reader):
    """Gather the resources that the engine found other than it knew them."""

    def read(self, event: Mapping[str, Any]) -> None:
        """Take one event; a refresh tells what it found in a resource's last one."""
        super().read(event)
        if found := event.get("resOutputsEvent"):
            change = parse_change(found["metadata"])
            if change.op not in _AS_IT_WAS and change.custom and not _is_own_work(change):
                self.outcome.changes.append(change)


def find_drift(workspace: Workspace, stack: str, display: Display) -> Outcome:
    """Compare every resource of a stack with the cluster; nothing is written, there or here.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        display: where progress goes.

    Raises:
        DeployError: the stack was never brought up, or its cluster does not answer.
    """
    settings = load_settings(workspace, stack)
    if is_embedded(settings) and not cluster.status(workspace).running:
        raise DeployError(
            f"The cluster of stack {stack} does not run, so nothing can be compared.",
            advice="`./stampchat cluster up` starts it as it was.",
        )
    if not is_embedded(settings):
        # A context that is gone would be drift in everything.
        find_cluster(workspace, settings)
    pulumi = open_stack(workspace, stack, settings, display)
    require_state(pulumi)
    if pulumi.is_kept_here:
        remove_dead_locks(workspace, stack)
    reader = DriftReader(ShowOn(display, "looking at what is there"))
    status, said = pulumi.stream("refresh", "--preview-only", on_event=reader.read)
    if status != 0:
        raise failure("The comparison failed", reader.outcome, said, "Nothing was changed.")
    return reader.outcome


def _is_own_work(change: Change) -> bool:
    return change.op == "update" and bool(change.diffs) and all(path.startswith(_OWN_WORK) for path in change.diffs)
