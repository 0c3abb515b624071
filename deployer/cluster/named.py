"""Use a cluster that is there already, by the context that the user names; nothing of it is ours to make or to end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from deployer.cluster.access import Access, await_standing, gateway_api_served, identity
from deployer.cluster.embedded.layout import NODE_PORT
from deployer.cluster.embedded.programs import gateway_api_definitions
from deployer.cluster.model import ClusterInfo, Instance
from deployer.errors import DeployError, UsageError
from deployer.files import write_private
from deployer.report import Report
from deployer.workspace import Workspace

_FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def up(workspace: Workspace, instance: Instance, report: Report) -> ClusterInfo:
    """Copy the context's entry, and see that its cluster has what the stack stands on.

    Args:
        workspace: the checkout.
        instance: names the context.
        report: where progress goes.

    Raises:
        UsageError: there is no such context.
        DeployError: the cluster does not answer, or lacks something.
    """
    workspace.cluster.mkdir(parents=True, exist_ok=True)
    kubeconfig = workspace.cluster / "kubeconfig"
    import yaml

    write_private(kubeconfig, yaml.safe_dump(extract_context(instance.context, instance.kubeconfig)))
    access = Access(kubeconfig)
    name = f"the cluster of context {instance.context}"
    report.note(f"asking {name} what it has")
    access.get("/version")
    await_standing(access, name, report)
    if not gateway_api_served(access):
        folder = gateway_api_definitions(workspace.cache, report)
        raise DeployError(
            f"{name[0].upper()}{name[1:]} does not serve the Gateway API, which its owner has to install.",
            advice=f"kubectl --context {instance.context} apply --server-side -f {folder}",
        )
    return ClusterInfo(instance.context, kubeconfig, instance.context, NODE_PORT, instance.url, identity(access))


def down(workspace: Workspace, instance: Instance, *, purge: bool) -> None:
    """Forget which cluster it was.

    Args:
        workspace: the checkout.
        instance: names the context.
        purge: whether to forget it; a cluster that is not ours cannot be stopped.

    Raises:
        UsageError: it is not ours to stop.
    """
    if not purge:
        raise UsageError(
            f"The cluster of context {instance.context} is not ours to stop.",
            advice="`./stampchat destroy` takes out of it what is ours; then `cluster down --purge` forgets it.",
        )
    shutil.rmtree(workspace.cluster, ignore_errors=True)


def extract_context(name: str, kubeconfig: str) -> dict[str, Any]:
    """Return a kubeconfig with one context of another, its paths made absolute.

    Args:
        name: the context's.
        kubeconfig: a file, several with a colon between them, or "" for KUBECONFIG's or ~/.kube/config.

    Raises:
        UsageError: there is no such file, or no such context in it.
    """
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

    places = [Path(place).expanduser() for place in (kubeconfig or str(KUBE_CONFIG_DEFAULT_LOCATION)).split(":")]
    found: dict[str, dict[str, Any]] = {"contexts": {}, "clusters": {}, "users": {}}
    for place in places:
        for kind, entries in _read(place).items():
            for entry_name, entry in entries.items():
                found[kind].setdefault(entry_name, entry)
    if name not in found["contexts"]:
        there = ", ".join(sorted(found["contexts"])) or "none"
        raise UsageError(
            f"There is no context {name!r} in {', '.join(map(str, places))}, which has {there}.",
            advice="Nothing was changed. Name one of these by `--cluster`, or `kind`, `k3d` or `embedded`.",
        )
    context = found["contexts"][name]
    parts = {
        kind: [{"name": context.get(key), key: found[kind].get(str(context.get(key)), {})}]
        for kind, key in (("clusters", "cluster"), ("users", "user"))
    }
    contexts = [{"name": name, "context": context}]
    return {"apiVersion": "v1", "kind": "Config", "current-context": name, "contexts": contexts, **parts}


def _read(place: Path) -> dict[str, dict[str, Any]]:
    import yaml

    try:
        document = yaml.safe_load(place.read_text(encoding="utf-8")) or {}
        kinds = {"contexts": "context", "clusters": "cluster", "users": "user"}
        return {
            kind: {
                str(entry["name"]): _absolute(entry.get(key) or {}, place.parent) for entry in document.get(kind) or []
            }
            for kind, key in kinds.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"The kubeconfig {place} cannot be read.", said=str(error)) from error


def _absolute(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {key: str(folder / value) if key in _FILES else value for key, value in entry.items()}
