"""Start, find and stop this checkout's own cluster, outside of up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployer import cluster
from deployer.checks import check_machine
from deployer.errors import DeployError
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


def start(workspace: Workspace, port: int | None, choice: cluster.Choice, report: Report) -> Started:
    """Start or repair the cluster, and have what it can do without built in the background.

    Args:
        workspace: the checkout.
        port: the port of this machine that its gateway answers at, or None for the one that it has.
        choice: what it is to have from now on.
        report: where progress goes.

    Raises:
        DeployError: this machine cannot hold it, or it does not come up.
    """
    check_machine(workspace, cold=not (workspace.cache / "cluster").exists())
    instance = cluster.load_instance(workspace, port=port)
    instance = cluster.choose(workspace, instance, choice)
    info = cluster.up(workspace, instance, report)
    return Started(info, cluster.begin_extras(workspace), instance.port if instance.lan else None)


def stop(workspace: Workspace, report: Report, *, purge: bool) -> None:
    """Stop the cluster, and with `purge` delete its data and what the engine knew of it."""
    cluster.down(workspace, purge=purge, report=report)
    if purge:
        set_state_aside(workspace, "dev")


def kubeconfig(workspace: Workspace) -> Path:
    """Name the cluster's kubeconfig.

    Raises:
        DeployError: there is no cluster.
    """
    path = cluster.kubeconfig(workspace)
    if not path.exists():
        raise DeployError("There is no cluster yet.", advice="`./stampchat up` or `./stampchat cluster up` makes one.")
    return path
