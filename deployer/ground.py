"""Choose where the cluster of stack dev is: what the user says, what the stack's file says, or where it is already."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployer.cluster import Instance, Where, check_maker, stored_instance
from deployer.errors import UsageError
from deployer.workspace import Workspace

_MADE = ("embedded", "kind", "k3d")


def choose_where(workspace: Workspace, settings: Mapping[str, Any], wanted: str = "") -> Where | None:
    """Say where the cluster is to be.

    Args:
        workspace: the checkout.
        settings: the stack's file.
        wanted: "embedded", "kind", "k3d" or a context's name; "" for what the file says.

    Returns:
        None where nobody says anything: it stays where it is.
    """
    config = settings.get("config") or {}
    named = str(config.get("stampchat:context") or "")
    made = str(config.get("stampchat:cluster") or "")
    kubeconfig = str(config.get("stampchat:kubeconfig") or "")
    if kubeconfig:
        kubeconfig = str(workspace.root / Path(kubeconfig).expanduser())
    for word in (wanted, made):
        for ground in _MADE:
            if word == ground:
                return Where(ground)  # type: ignore[arg-type]  # one of the three
    context = wanted or named
    if not context:
        return None
    return Where("context", context, kubeconfig, str(config.get("stampchat:url") or ""))


def pulls_images(settings: Mapping[str, Any]) -> bool:
    """Tell whether the stack's file names images that were pushed to a registry."""
    return bool((settings.get("config") or {}).get("stampchat:imagesFile"))


def where_it_is(workspace: Workspace, where: Where | None) -> Where:
    """Return where the cluster is to be: what was chosen, or where it is, or a box of ours at first.

    Args:
        workspace: the checkout.
        where: what `choose_where` chose.
    """
    known = stored_instance(workspace)
    return where or (known.where if known else Where())


def check_where(workspace: Workspace, where: Where | None, *, lan: bool | None) -> Where:
    """See that what was chosen is there, before it is noted: every later command would go by a slip of the pen.

    Args:
        workspace: the checkout.
        where: what `choose_where` chose; None where nobody chose anything.
        lan: whether other machines are to reach its port.

    Returns:
        Where the cluster is to be.

    Raises:
        UsageError: no kubeconfig has the context, or the port cannot be opened to other machines there.
        DeployError: kind, k3d or Docker is away.
    """
    if where is not None and where.ground == "context":
        from deployer.cluster.named import extract_context

        extract_context(where.context, where.kubeconfig)
    elif where is not None and where.ground != "embedded":
        check_maker(workspace, where.ground)
    found = where_it_is(workspace, where)
    _refuse_lan(found, lan)
    return found


def require_images(where: Where, settings: Mapping[str, Any]) -> None:
    """Refuse a cluster that images cannot be loaded into, where the stack's file names none to pull.

    Raises:
        UsageError: it names none.
    """
    if where.ground != "context" or pulls_images(settings):
        return
    raise UsageError(
        f"The cluster of context {where.context} pulls its images from a registry, and stack dev names none.",
        advice="Nothing was changed. `./stampchat images push --registry REGISTRY`, then set stampchat:imagesFile: "
        ".stampchat/images.json in Pulumi.dev.yaml.",
    )


def described(instance: Instance) -> str:
    """Say in a few words which cluster it is and where it answers."""
    if instance.ground == "context":
        return f"context {instance.context}"
    made = "" if instance.ground == "embedded" else f"{instance.ground} cluster "
    return f"{made}{instance.name}, port {instance.port}"


def _refuse_lan(where: Where, lan: bool | None) -> None:  # noqa: FBT001  # as the user says it
    """Refuse to open a port to other machines that Docker, or somebody else's cluster, listens on.

    Raises:
        UsageError: it was asked for.
    """
    if lan and where.ground != "embedded":
        raise UsageError(
            f"--lan is for the embedded cluster, and stack dev is on another ({where}).",
            advice="Nothing was changed. Leave it away.",
        )
