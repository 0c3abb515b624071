"""A Kubernetes cluster, wherever we are.

`load_instance` says which one is this checkout's, and what makes it: a box of ours on this machine (embedded), kind or
k3d where Docker is, or nobody, where a context names one that is there already. `up` brings it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deployer.cluster.instance import choose, instance_name, load_instance, stored_instance
from deployer.cluster.model import (
    REGISTRY_NAME,
    Choice,
    ClusterInfo,
    ClusterStatus,
    ComponentStatus,
    Ground,
    Instance,
    Registry,
    Where,
)
from deployer.errors import DeployError
from deployer.report import Report, Silent
from deployer.workspace import Workspace

__all__ = [
    "REGISTRY_NAME",
    "Choice",
    "ClusterInfo",
    "ClusterStatus",
    "ComponentStatus",
    "Ground",
    "Instance",
    "Registry",
    "Where",
    "begin_extras",
    "build_extras",
    "check_maker",
    "choose",
    "down",
    "end_extras",
    "files",
    "kubeconfig",
    "lacking",
    "load_images",
    "load_instance",
    "prepare",
    "registry",
    "status",
    "stored_instance",
    "up",
]


def prepare(workspace: Workspace, report: Report) -> None:
    """Build or fetch every program that a cluster is made of, and start none.

    Args:
        workspace: the checkout.
        report: where progress goes.

    Raises:
        DeployError: a build or a download failed.
    """
    from deployer.cluster.embedded.programs import ensure_programs

    ensure_programs(workspace, report)


def lacking(workspace: Workspace, ground: Ground = "embedded") -> list[str]:
    """List what the cache lacks for a cluster, for people; nothing is changed.

    Args:
        workspace: the checkout.
        ground: what makes the cluster.
    """
    from deployer.cluster.embedded import programs

    if ground == "embedded":
        return programs.lacking(workspace.cache)
    # What is there already has them, or its owner has to see to it.
    return [] if ground == "context" else programs.lacking_definitions(workspace.cache)


def check_maker(workspace: Workspace, ground: Ground) -> str:
    """Return the version of what makes clusters in Docker, once it is there and Docker answers.

    Args:
        workspace: the checkout.
        ground: "kind" or "k3d".

    Raises:
        DeployError: it is away or too old, or Docker does not answer.
    """
    from deployer.cluster.docker.up import maker_of

    return maker_of(ground, workspace).check()


def files(workspace: Workspace, report: Report) -> list[Path]:
    """Return every file of the cache that an embedded cluster elsewhere needs; what is missing is made first.

    Args:
        workspace: the checkout.
        report: where progress goes.

    Raises:
        DeployError: a build or a download failed.
    """
    from deployer.cluster.embedded import extras, programs

    return [*programs.files(workspace, report), *extras.built_files(workspace)]


def up(workspace: Workspace, instance: Instance, report: Report) -> ClusterInfo:
    """Bring this checkout's cluster up, repair it, or find that nothing is to be done.

    Args:
        workspace: the checkout.
        instance: what `load_instance` gave.
        report: where progress goes.

    Raises:
        DeployError: this machine cannot run a cluster, a build failed, or a component does not start.
    """
    if instance.ground in ("kind", "k3d"):
        from deployer.cluster.docker.up import up as docker_up

        return docker_up(workspace, instance, report)
    if instance.ground == "context":
        from deployer.cluster.named import up as named_up

        return named_up(workspace, instance, report)
    from deployer.cluster.embedded.up import up as embedded_up

    return embedded_up(workspace, instance, report)


def down(workspace: Workspace, *, purge: bool = False, report: Report | None = None) -> None:
    """Take this checkout's cluster down; nothing of it stays on the machine but, unless purged, its data.

    Args:
        workspace: the checkout.
        purge: whether to remove the data, and give name, number and port back.
        report: where progress goes.

    Raises:
        DeployError: something of it does not die.
    """
    instance = _instance(workspace)
    if instance.ground in ("kind", "k3d"):
        from deployer.cluster.docker.up import down as docker_down

        docker_down(workspace, instance, report or Silent(), purge=purge)
    elif instance.ground == "context":
        from deployer.cluster.named import down as named_down

        named_down(workspace, instance, purge=purge)
    else:
        from deployer.cluster.embedded.down import down as embedded_down
        from deployer.cluster.embedded.layout import layout_of

        embedded_down(layout_of(workspace, instance), report or Silent(), purge=purge)
    if purge:
        workspace.instance.unlink(missing_ok=True)


def status(workspace: Workspace) -> ClusterStatus:
    """Say how this checkout's cluster does.

    Args:
        workspace: the checkout.
    """
    instance = _instance(workspace)
    if instance.ground != "embedded":
        from deployer.cluster.access import status as status_elsewhere

        return status_elsewhere(workspace, instance)
    from deployer.cluster.embedded import extras
    from deployer.cluster.embedded.down import status as embedded_status
    from deployer.cluster.embedded.layout import layout_of

    return embedded_status(layout_of(workspace, instance), extras.standing(workspace))


def load_images(workspace: Workspace, archives: Mapping[str, Path], report: Report) -> None:
    """Put images into this checkout's running cluster; those that are there already cost nothing.

    Args:
        workspace: the checkout.
        archives: each reference ("stampchat.local/services@sha256:…") and the OCI archive that holds it.
        report: where progress goes.

    Raises:
        DeployError: the cluster does not run, an archive is broken or the disk is full.
    """
    instance = _instance(workspace)
    if instance.ground in ("kind", "k3d"):
        from deployer.cluster.docker.up import load_images as docker_load

        docker_load(workspace, instance, archives, report)
        return
    from deployer.cluster.embedded.box import find_init
    from deployer.cluster.embedded.images import import_images
    from deployer.cluster.embedded.programs import ensure_programs

    init = find_init(instance_name(workspace.home))
    if init is None:
        raise DeployError("The cluster does not run.", advice="Bring it up first: `./stampchat cluster up`.")
    import_images(init, ensure_programs(workspace, report), archives, report)


def build_extras(workspace: Workspace, report: Report) -> list[str]:
    """Build what the cluster does without until it is built, put it to use, and return the components' names.

    Args:
        workspace: the checkout.
        report: where progress goes.

    Raises:
        DeployError: a build failed; what could be built is in use.
    """
    from deployer.cluster.embedded import extras
    from deployer.cluster.embedded.serving import serve_extras

    instance = _instance(workspace)
    wanted = extras.chosen(instance) if instance.ground == "embedded" else []
    try:
        extras.build_extras(workspace, wanted, report)
    finally:
        serve_extras(workspace)
    return [extra.name for extra in wanted]


def begin_extras(workspace: Workspace) -> dict[str, str]:
    """Have that built in the background, and return what is wrong with each that does not run; nothing is waited for.

    Args:
        workspace: the checkout.
    """
    from deployer.cluster.embedded import extras
    from deployer.cluster.embedded.layout import layout_of
    from deployer.cluster.embedded.serving import failing

    instance = _instance(workspace)
    if instance.ground != "embedded":
        return {}
    return extras.begin(workspace, instance) | failing(layout_of(workspace, instance))


def end_extras(workspace: Workspace) -> None:
    """End the builds in the background.

    Args:
        workspace: whose cache they build for.

    Raises:
        DeployError: they do not end.
    """
    from deployer.cluster.embedded import extras

    extras.end(workspace)


def registry(workspace: Workspace) -> Registry | None:
    """Say how to reach the registry of this checkout's cluster, or None when it has none.

    Args:
        workspace: the checkout.
    """
    from deployer.cluster.embedded.layout import layout_of
    from deployer.cluster.embedded.registry import find_registry

    instance = stored_instance(workspace)
    return find_registry(layout_of(workspace, instance)) if instance and instance.registry else None


def kubeconfig(workspace: Workspace) -> Path:
    """Return the file that gives full rights on this checkout's cluster; `up` writes it.

    Args:
        workspace: the checkout.
    """
    return workspace.cluster / "kubeconfig"


def _instance(workspace: Workspace) -> Instance:
    """Return what was chosen for the cluster, or what names it at least, without choosing anything."""
    return stored_instance(workspace) or Instance(name=instance_name(workspace.home), number=0, port=0)
