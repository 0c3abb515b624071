"""Know which cluster a stack goes to, by its context's name and its server's address, before anything is sent there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.errors import UsageError
from deployer.stack import current_context, is_embedded
from deployer.stack_file import listed
from deployer.workspace import Workspace


@dataclass(frozen=True)
class NamedCluster:
    """Name a cluster as a person should see it before it is changed.

    Attributes:
        context: the context's name in the kubeconfig.
        server: the address of its API.
    """

    context: str
    server: str

    def __str__(self) -> str:
        return f"{self.context!r} ({self.server})"


def kubeconfig_file(workspace: Workspace, settings: Mapping[str, Any]) -> str | None:
    """Return the kubeconfig of a stack; None where it is KUBECONFIG's or ~/.kube/config.

    Args:
        workspace: the checkout; a relative path is sought there.
        settings: the stack's file.
    """
    if is_embedded(settings):
        return str(workspace.cluster / "kubeconfig")
    named = (settings.get("config") or {}).get("stampchat:kubeconfig")
    return str(workspace.root / Path(str(named)).expanduser()) if named else None


def find_cluster(workspace: Workspace, settings: Mapping[str, Any]) -> NamedCluster:
    """Find the cluster that a stack names in its kubeconfig; nobody is asked over the network.

    Args:
        workspace: the checkout.
        settings: the stack's file.

    Raises:
        UsageError: there is no kubeconfig, or no such context in it; the message lists those that there are.
    """
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

    where = kubeconfig_file(workspace, settings) or str(KUBE_CONFIG_DEFAULT_LOCATION)
    document = _read(where)
    name = current_context(Path(where)) if is_embedded(settings) else str(settings["config"]["stampchat:context"])
    contexts = {str(entry["name"]): entry.get("context") or {} for entry in document["contexts"]}
    if name not in contexts:
        raise UsageError(
            f"The stack's context {name!r} is not in {where}, which has {listed(sorted(contexts))}.",
            advice="Nothing was changed. Name one of these in the stack's file (stampchat:context), or another file "
            "(stampchat:kubeconfig); most clouds have a command that writes a cluster's entry anew.",
        )
    cluster = str(contexts[name].get("cluster"))
    servers = {str(entry["name"]): (entry.get("cluster") or {}).get("server") for entry in document["clusters"]}
    if not servers.get(cluster):
        raise UsageError(
            f"The context {name!r} of {where} names the cluster {cluster!r}, whose server is not there.",
            advice="Nothing was changed. Have your cloud's command write the cluster's entry anew.",
        )
    return NamedCluster(name, str(servers[cluster]))


def _read(where: str) -> dict[str, list[dict[str, Any]]]:
    """Read a kubeconfig, or several with a colon between them, of which the first that has a name wins."""
    import yaml
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.kube_config import KubeConfigMerger

    try:
        merged = KubeConfigMerger(where).config
    except (OSError, yaml.YAMLError, ConfigException, AttributeError, TypeError) as error:
        # What is YAML, but no mapping, fails in the library's own words about Python.
        foreign = isinstance(error, AttributeError | TypeError)
        raise UsageError(
            f"The kubeconfig {where} cannot be read.",
            said="it is no kubeconfig" if foreign else str(error),
            advice="Nothing was changed. Mend it, or name another in the stack's file (stampchat:kubeconfig).",
        ) from error
    if merged is None:
        raise UsageError(
            f"There is no kubeconfig at {where}, so nobody knows how to reach the stack's cluster.",
            advice="Nothing was changed. Have your cloud's command write one, or name its file (stampchat:kubeconfig).",
        )
    entries = {key: merged.value.get(key) or [] for key in ("contexts", "clusters")}
    return {key: [getattr(entry, "value", entry) for entry in listed_] for key, listed_ in entries.items()}
