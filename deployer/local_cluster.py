"""Start, find and stop this checkout's own cluster, outside of up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployer import cluster
from deployer.checks import check_ground, load_settings
from deployer.errors import DeployError, UsageError
from deployer.ground import check_where, choose_where
from deployer.project import load_checkpoint
from deployer.report import Report
from deployer.stack import set_state_aside
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Started:
    """Say how a cluster runs.

    Attributes:
        info: how to reach it.
        missing: how it stands with each program that it does without meanwhile.
        lan_port: the port at which other machines are let in, or None where none is.
    """

    info: cluster.ClusterInfo
    missing: dict[str, str]
    lan_port: int | None


def start(
    workspace: Workspace, port: int | None, choice: cluster.Choice, report: Report, *, wanted: str = ""
) -> Started:
    """Start or repair the cluster, and have what it can do without built in the background.

    Args:
        workspace: the checkout.
        port: the port of this machine that its gateway answers at, or None for the one that it has.
        choice: what it is to have from now on.
        report: where progress goes.
        wanted: "embedded", "kind", "k3d" or a context's name; "" for what the stack's file says, or where it is.

    Raises:
        DeployError: this machine cannot hold it, or it does not come up.
    """
    where = choose_where(workspace, load_settings(workspace, "dev"), wanted)
    check_ground(workspace, where)
    check_where(workspace, where, lan=choice.lan)
    instance = cluster.choose(workspace, cluster.load_instance(workspace, port=port, where=where), choice)
    info = cluster.up(workspace, instance, report)
    return Started(info, cluster.begin_extras(workspace), instance.port if instance.lan else None)


def stop(workspace: Workspace, report: Report, *, purge: bool) -> bool:
    """Stop the cluster, and with `purge` delete its data and what the engine knew of it.

    Returns:
        Whether there was one.

    Raises:
        UsageError: the cluster was there before us, and what is ours is still in it.
    """
    known = cluster.stored_instance(workspace)
    if purge and known is not None and known.ground == "context" and _has_resources(workspace):
        raise UsageError(
            f"The cluster of context {known.context} still has what `up` has put there.",
            advice="Nothing was changed. `./stampchat destroy` takes it out; then this forgets the cluster.",
        )
    cluster.down(workspace, purge=purge, report=report)
    if purge:
        set_state_aside(workspace, "dev")
    return known is not None


def kubeconfig(workspace: Workspace) -> Path:
    """Name the cluster's kubeconfig.

    Raises:
        DeployError: there is no cluster.
    """
    path = cluster.kubeconfig(workspace)
    if not path.exists():
        raise DeployError("There is no cluster yet.", advice="`./stampchat up` or `./stampchat cluster up` makes one.")
    return path


def _has_resources(workspace: Workspace) -> bool:
    """Tell whether the engine knows of anything in the cluster besides its own entries."""
    resources = load_checkpoint(workspace, "dev").get("resources") or []
    return any(not str(entry.get("type")).startswith("pulumi:") for entry in resources)
