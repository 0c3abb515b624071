"""Bring a cluster in Docker up from whatever state it is in, and take it down."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from deployer.cluster.access import Access, await_standing, identity, install_gateway_api
from deployer.cluster.docker.commands import Maker
from deployer.cluster.docker.k3d import K3d
from deployer.cluster.docker.kind import Kind
from deployer.cluster.embedded.layout import NODE_PORT
from deployer.cluster.model import ClusterInfo, Ground, Instance
from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive
from deployer.files import write_private
from deployer.report import Report
from deployer.workspace import Workspace


def maker_of(ground: Ground, workspace: Workspace) -> Maker:
    """Return what drives a ground's program."""
    return Kind(workspace.cluster / "kubeconfig") if ground == "kind" else K3d()


def up(workspace: Workspace, instance: Instance, report: Report) -> ClusterInfo:
    """Make the cluster, start it, or find that nothing is to be done.

    Args:
        workspace: the checkout.
        instance: what sets its cluster apart.
        report: where progress goes.

    Raises:
        DeployError: the program or Docker is not there, or the cluster does not come up.
    """
    maker = maker_of(instance.ground, workspace)
    version = maker.check()
    with exclusive(workspace.cluster):
        workspace.cluster.mkdir(parents=True, exist_ok=True)
        kubeconfig = workspace.cluster / "kubeconfig"
        if instance.name not in maker.names():
            report.note(f"{maker.program} {version} makes the cluster {instance.name}; it may pull its image first")
            _record(workspace).unlink(missing_ok=True)
            kubeconfig.unlink(missing_ok=True)
            maker.create(instance.name, instance.port)
        write_private(kubeconfig, maker.kubeconfig(instance.name))
        if not Access(kubeconfig).ready():
            report.note(f"starting the cluster {instance.name}")
            maker.start(instance.name)
            # Docker may give it another port now.
            write_private(kubeconfig, maker.kubeconfig(instance.name))
        access = Access(kubeconfig)
        await_standing(access, f"the {maker.program} cluster {instance.name}", report)
        install_gateway_api(access, workspace.cache, report)
    return ClusterInfo(instance.name, kubeconfig, "127.0.0.1", NODE_PORT, instance.address, identity(access))


def down(workspace: Workspace, instance: Instance, report: Report, *, purge: bool) -> None:
    """Stop the cluster, or delete it with its data.

    Args:
        workspace: the checkout.
        instance: what sets its cluster apart.
        report: where progress goes.
        purge: whether the data goes too.

    Raises:
        DeployError: the program or Docker is not there, or refuses.
    """
    maker = maker_of(instance.ground, workspace)
    with exclusive(workspace.cluster):
        if instance.name in maker.names():
            report.note(f"{maker.program} {'deletes' if purge else 'stops'} the cluster {instance.name}")
            (maker.delete if purge else maker.stop)(instance.name)
        if purge:
            shutil.rmtree(workspace.cluster, ignore_errors=True)


def load_images(workspace: Workspace, instance: Instance, archives: Mapping[str, Path], report: Report) -> None:
    """Put images into the cluster that were not put there before.

    Args:
        workspace: the checkout.
        instance: what sets its cluster apart.
        archives: each reference and the OCI archive that holds it.
        report: where progress goes.

    Raises:
        DeployError: the cluster is not there, an archive is broken or Docker's disk is full.
    """
    maker = maker_of(instance.ground, workspace)
    record = _record(workspace)
    loaded = set(_read(record))
    for reference, archive in archives.items():
        if reference in loaded:
            continue
        report.note(f"loading {reference.partition('@')[0]} into the {maker.program} cluster")
        try:
            maker.load(instance.name, archive)
        except DeployError as error:
            raise DeployError(
                f"The image {reference.partition('@')[0]} could not be loaded into the {maker.program} cluster.",
                said=str(error),
                advice="Is Docker's disk full (`docker system df`)? Run this again; nothing is loaded twice.",
            ) from error
        loaded.add(reference)
        write_private(record, json.dumps(sorted(loaded)))


def _record(workspace: Workspace) -> Path:
    return workspace.cluster / "loaded.json"


def _read(path: Path) -> list[str]:
    try:
        return [str(reference) for reference in json.loads(path.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError):
        return []
