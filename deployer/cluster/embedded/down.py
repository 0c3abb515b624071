"""Take an embedded cluster down, and say how it does."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
from collections.abc import Mapping

from deployer.cluster.embedded import cgroups
from deployer.cluster.embedded.api import Api
from deployer.cluster.embedded.box import age, box_status, end_box, find_init
from deployer.cluster.embedded.expiry import earliest_end
from deployer.cluster.embedded.extras import KUBE_ROUTER
from deployer.cluster.embedded.layout import Layout
from deployer.cluster.embedded.ready import node_ready
from deployer.cluster.model import ClusterStatus, ComponentStatus
from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive
from deployer.report import Report


def down(layout: Layout, report: Report, *, purge: bool) -> None:
    """End the box and everything in it.

    Args:
        layout: the cluster.
        report: where progress goes.
        purge: whether to remove the cluster's data too.

    Raises:
        DeployError: the box runs and we are not root, or something in it does not die.
    """
    if os.geteuid() != 0 and find_init(layout.name) is not None:
        raise DeployError(f"The cluster {layout.name} is root's.", advice="Run this as root (`sudo`).")
    with exclusive(layout.home):
        report.note("ending the box")
        end_box(layout)
        if purge:
            report.note("removing the cluster's data")
            shutil.rmtree(layout.home, ignore_errors=True)
            if layout.home.exists():  # say why, by failing at what stays
                shutil.rmtree(layout.home)


def status(layout: Layout, missing: Mapping[str, str]) -> ClusterStatus:
    """Say how the cluster does; it changes nothing and waits for nothing.

    Args:
        layout: the cluster.
        missing: how the build of each program stands that the cluster does without meanwhile, by component.
    """
    init = find_init(layout.name)
    components = [
        ComponentStatus(
            name=state["name"],
            pid=state["pid"],
            running=state["pid"] is not None,
            since=state["since"] if state["pid"] is not None else None,
            restarts=state["restarts"],
            missing=missing.get(state["name"], "") if state["pid"] is None else "",
        )
        for state in box_status(init or 0)
    ]
    return ClusterStatus(
        name=layout.name,
        running=init is not None,
        components=components,
        node_ready=init is not None and _node_ready(layout),
        address=layout.address,
        kubeconfig=layout.kubeconfig,
        memory_bytes=cgroups.memory(layout.name),
        lan=layout.instance.lan,
        policies_hold=any(part.running for part in components if part.name == KUBE_ROUTER.name),
        own_memory_bytes=cgroups.memory(layout.name, own=True),
        own_cores=cgroups.cpu_seconds(layout.name, own=True) / max(age(init), 1.0) if init else 0.0,
        certificates_end=_timestamp(earliest_end(layout)),
    )


def _timestamp(moment: dt.datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _node_ready(layout: Layout) -> bool:
    with contextlib.suppress(DeployError, OSError), Api(layout) as api:
        return node_ready(layout, api)
    return False
