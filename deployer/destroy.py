"""Take a stack away: the resources that the engine made, in the reverse order."""

from __future__ import annotations

from collections.abc import Callable

from deployer import cluster
from deployer.checks import load_settings
from deployer.errors import UsageError
from deployer.events import Outcome, Reader
from deployer.mend import mend
from deployer.outputs import require_state
from deployer.preview import ShowOn, failure
from deployer.project import state_file
from deployer.pulumi_process import Pulumi
from deployer.stack import forget_lost_cluster, is_embedded, open_stack
from deployer.steps import Display, Step, run_steps
from deployer.workspace import Workspace


def destroy(workspace: Workspace, stack: str, display: Display, *, confirm: Callable[[str], bool]) -> Outcome:
    """Delete every resource of a stack, its volumes and what they hold included.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        display: where progress goes.
        confirm: is asked first, as this cannot be taken back.

    Raises:
        UsageError: no such stack, or not confirmed.
        DeployError: a resource could not be deleted.
    """
    settings = load_settings(workspace, stack)
    outcome = Outcome()
    embedded = is_embedded(settings)
    if embedded and not state_file(workspace, stack).exists():
        return outcome
    if not confirm(f"Everything in stack {stack} is about to be deleted, the messages in its databases included."):
        raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
    pulumi: Pulumi

    def start_cluster(report: Display) -> str:
        instance = cluster.load_instance(workspace, port=None)
        info = cluster.up(workspace, instance, report)
        if forget_lost_cluster(workspace, stack):
            report.line("the cluster is a new one: what the stack knew of the old one was set aside")
        return f"{info.name} at {info.address}"

    def open_(report: Display) -> str:
        nonlocal pulumi
        pulumi = open_stack(workspace, stack, settings, report)
        require_state(pulumi)
        return "; ".join(mend(pulumi, settings, report)) or "the engine is ready"

    def delete(report: Display) -> str:
        nonlocal outcome
        outcome = _delete(pulumi, report)
        return outcome.done

    steps = [Step("cluster", "start the Kubernetes cluster", start_cluster)] if embedded else []
    steps += [Step("engine", "find the engine", open_), Step("destroy", "delete the resources", delete)]
    run_steps(steps, display)
    return outcome


def _delete(pulumi: Pulumi, display: Display) -> Outcome:
    reader = Reader(ShowOn(display, "starting the engine"))
    status, said = pulumi.stream("destroy", "--yes", "--skip-preview", on_event=reader.read)
    if status != 0:
        advice = "What is gone is gone, the rest is kept. Run `./stampchat destroy` again once the cause is mended."
        raise failure("The deletion failed", reader.outcome, said, advice)
    return reader.outcome
