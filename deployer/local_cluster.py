"""Start, find and stop this checkout's own cluster, outside of up."""

from __future__ import annotations

from pathlib import Path

from deployer import cluster
from deployer.checks import check_machine
from deployer.errors import DeployError
from deployer.report import Report
from deployer.stack import set_state_aside
from deployer.workspace import Workspace


def start(workspace: Workspace, port: int | None, report: Report) -> cluster.ClusterInfo:
    """Start or repair the cluster.

    Raises:
        DeployError: this machine cannot hold it, or it does not come up.
    """
    check_machine(workspace, cold=not (workspace.cache / "cluster").exists())
    return cluster.up(workspace, cluster.load_instance(workspace, port=port), report)


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
