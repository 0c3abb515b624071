"""Push to the registry of this checkout's own cluster, by the name that Pods pull from it by."""

from __future__ import annotations

from dataclasses import replace

from deployer import cluster
from deployer.errors import DeployError
from deployer.registry import Credentials, RegistryName
from deployer.workspace import Workspace


def own_registry(workspace: Workspace) -> cluster.Registry:
    """Say how to reach the cluster's registry.

    Args:
        workspace: the checkout.

    Raises:
        DeployError: the cluster has none.
    """
    found = cluster.registry(workspace)
    if found is None:
        raise DeployError(
            "This checkout's cluster has no registry.",
            advice="`./stampchat cluster up --registry` gives it one, now and at every later start.",
        )
    return found


def located(workspace: Workspace, name: RegistryName) -> tuple[RegistryName, Credentials | None]:
    """Return a registry's name with the address that it has here, and what it is shown, if it is the cluster's own.

    Args:
        workspace: the checkout.
        name: of any registry.

    Raises:
        DeployError: it is the cluster's own, and the cluster has none.
    """
    if name.host != cluster.REGISTRY_NAME:
        return name, None
    found = own_registry(workspace)
    shown = Credentials(found.username, found.password_file.read_text(encoding="utf-8"))
    return replace(name, address=found.address, authority=found.authority, plain=False), shown
