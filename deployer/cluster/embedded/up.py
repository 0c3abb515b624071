"""Bring an embedded cluster up from whatever state it is in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from deployer.cluster.embedded.addons import apply_addons, apply_gateway_api
from deployer.cluster.embedded.api import Api
from deployer.cluster.embedded.box import end_box, find_init, start_box
from deployer.cluster.embedded.checks import check_machine
from deployer.cluster.embedded.configs import write_configs, write_kubeconfigs
from deployer.cluster.embedded.daemons import daemons, environment
from deployer.cluster.embedded.expiry import renew, renewal_due
from deployer.cluster.embedded.extras import file_names
from deployer.cluster.embedded.images import import_images
from deployer.cluster.embedded.layout import BOX_STATUS, DEBIAN, PROGRAMS, STATE, Layout, layout_of
from deployer.cluster.embedded.limits import read_limits
from deployer.cluster.embedded.pki import issue_certificates
from deployer.cluster.embedded.programs import Programs, ensure_programs
from deployer.cluster.embedded.ready import (
    all_ready,
    await_addons,
    await_api,
    await_containerd,
    await_daemons,
    await_node,
)
from deployer.cluster.embedded.registry import ensure_registry, write_registry
from deployer.cluster.embedded.release import check_release, note_release
from deployer.cluster.embedded.serving import apply_extras, extras_applied
from deployer.cluster.model import ClusterInfo, Instance
from deployer.fetch.atomic import exclusive
from deployer.report import Report
from deployer.workspace import Workspace


def up(workspace: Workspace, instance: Instance, report: Report) -> ClusterInfo:
    """Bring the cluster up, or repair it, or find that nothing is to be done.

    Every step looks at what is there rather than at what an earlier run noted, so a run that was cut short anywhere
    is completed by the next. A box that was made from other files than today's is ended and made again; its data stays.

    Args:
        workspace: the checkout.
        instance: what sets its cluster apart.
        report: where progress goes.

    Raises:
        DeployError: this machine cannot run a cluster, a build failed, or a component does not start.
    """
    check_machine(workspace.cluster)
    layout = layout_of(workspace, instance)
    check_release(layout)
    with exclusive(workspace.cluster):
        programs = replace(
            ensure_programs(workspace, report),
            registry=ensure_registry(workspace, report) if instance.registry else "",
            extras=file_names(workspace, instance),
        )
        write_registry(layout)
        digest = write_configs(layout, read_limits(), programs.image.reference)
        spec = box_spec(layout, programs, digest)
        fresh = not _runs(layout, spec)
        if fresh:
            _start(layout, programs, spec, report)
        elif renewal_due(layout):
            renew(layout, report)
        else:
            write_kubeconfigs(layout)  # somebody may have broken one
        with Api(layout) as api:
            if not all_ready(layout, api, programs):
                _complete(
                    layout, programs, api, report, extras=partial(apply_extras, workspace, layout, api, fresh=fresh)
                )
            elif not extras_applied(workspace, layout, api):  # built since by another checkout
                apply_extras(workspace, layout, api)
            return replace(layout.info, identity=_identity(api))


def box_spec(layout: Layout, programs: Programs, digest: str) -> dict[str, Any]:
    """Say what is in the box, as `box` reads it (cmd/box/main.go).

    Args:
        layout: the cluster.
        programs: what runs in it.
        digest: of the configuration files, so that a box that read others counts as another.
    """
    network = {
        "link": layout.link,
        "outside": f"{layout.gateway}/30",
        "inside": f"{layout.address}/30",
        "gateway": layout.gateway,
    }
    env = environment(programs.library_folder)
    return {
        "name": layout.name,
        "config": digest,
        "port": layout.instance.port,
        "lan": layout.instance.lan,
        "log": str(layout.logs / "box.log"),
        "status": str(BOX_STATUS),
        "network": network,
        "binds": [
            {"from": str(layout.home), "to": str(STATE)},
            {"from": str(programs.folder), "to": str(PROGRAMS), "readOnly": True},
            {"from": str(programs.debian), "to": str(DEBIAN), "readOnly": True},
        ],
        "sysctls": {"net.ipv4.ip_forward": "1"},
        "setup": [{"argv": ["nft", "-f", f"{STATE}/config/filter.nft"], "env": env}],
        "daemons": daemons(layout, programs),
    }


def _identity(api: Api) -> str:
    """Return what a cluster is known by, which its data has and no certificate: the first namespace's own number."""
    found = api.get("/api/v1/namespaces/kube-system") or {}
    return str(found.get("metadata", {}).get("uid", ""))


def _runs(layout: Layout, spec: dict[str, Any]) -> bool:
    """Return whether a box made from this very specification runs."""
    try:
        made_from = json.loads(layout.spec.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return False
    return bool(made_from == spec) and find_init(layout.name) is not None


def _start(layout: Layout, programs: Programs, spec: dict[str, Any], report: Report) -> None:
    report.note("making the box and starting the cluster in it")
    end_box(layout)
    layout.home.chmod(0o700)
    for folder in (layout.logs, layout.home / "volumes"):
        folder.mkdir(exist_ok=True)
    issue_certificates(layout)
    write_kubeconfigs(layout)
    note_release(layout)
    start_box(layout, programs.folder / programs.box, spec)


def _complete(layout: Layout, programs: Programs, api: Api, report: Report, *, extras: Callable[[], None]) -> None:
    """Put into the cluster what is missing, and wait until it works."""
    report.note("importing the cluster's own image")
    import_images(await_containerd(layout), programs, {programs.image.reference: programs.image.archive}, report)
    report.note("waiting for the API server")
    await_api(layout, api)
    report.note("applying DNS, storage and the Gateway API")
    apply_addons(api, programs)
    apply_gateway_api(api, programs)
    extras()
    report.note("waiting for the node")
    await_node(layout, api)
    report.note("waiting for DNS")
    await_addons(layout, api, programs)
    await_daemons(layout)
