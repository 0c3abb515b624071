"""Look into a stack's cluster: its pods, and what they write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployer.contexts import find_cluster, kubeconfig_file
from deployer.errors import DeployError
from deployer.stack import is_embedded
from deployer.workspace import Workspace

NAMESPACES = ("stampchat", "stampchat-gateway")

_NOT_OURS = (
    "Check the network, a VPN that it may need, and the entry in the kubeconfig; a cloud has a command that writes "
    "it anew."
)


@dataclass(frozen=True)
class Pod:
    """One pod, as a person wants to know it.

    Attributes:
        namespace: where it lies.
        name: its own name.
        workload: the Deployment or StatefulSet that it belongs to.
        ready: whether it serves.
        state: Running, or why not.
        restarts: how often its containers were started again.
        image: the digest of its first container's image, short.
        address: its address in the cluster.
        started: when, by the API server's clock.
    internal_port: where it tells machines how it is; 0 for what is no service of ours.
        cores: what it used of processors lately; None where no metrics-server knows.
        memory_bytes: what it uses of memory; None where no metrics-server knows.
    """

    namespace: str
    name: str
    workload: str
    ready: bool
    state: str
    restarts: int
    image: str
    address: str
    started: str
    internal_port: int = 0
    cores: float | None = None
    memory_bytes: int | None = None


class Kube:
    """The cluster of one stack.

    Args:
        workspace: the checkout.
        settings: the stack's tracked file.

    Raises:
        DeployError: there is no way to reach a cluster.
    """

    def __init__(self, workspace: Workspace, settings: Mapping[str, Any]) -> None:
        from kubernetes import client, config
        from yaml import YAMLError

        file = kubeconfig_file(workspace, settings)
        context = None if is_embedded(settings) else find_cluster(workspace, settings).context
        try:
            connection = config.new_client_from_config(config_file=file, context=context)
        except (OSError, ValueError, TypeError, YAMLError, config.ConfigException) as error:
            advice = "`./stampchat up` makes one." if is_embedded(settings) else _NOT_OURS
            raise DeployError("There is no cluster to look into.", said=str(error), advice=advice) from error
        self._advice = "`./stampchat up` starts and repairs it." if is_embedded(settings) else _NOT_OURS
        self.connection: Any = connection
        self.core: Any = client.CoreV1Api(connection)

    def pods(self) -> list[Pod]:
        """List the deployment's pods, with what they use where a metrics-server knows.

        Raises:
            DeployError: the cluster does not answer.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            found = [
                parse_pod(item)
                for namespace in NAMESPACES
                for item in self.core.list_namespaced_pod(namespace, _request_timeout=5).to_dict()["items"]
                if not is_over(item)
            ]
            usage = {name: used for namespace in NAMESPACES for name, used in self._usage(namespace).items()}
            return [replace(pod, **usage.get((pod.namespace, pod.name), {})) for pod in found]
        except ApiException as error:
            raise DeployError(
                "The cluster does not let this user see the deployment's pods.",
                said=f"{error.status} {error.reason}",
                advice="Log in again with your cloud's command, or ask for the right to list pods.",
            ) from error
        except (HTTPError, OSError) as error:
            raise DeployError("The cluster does not answer.", said=str(error), advice=self._advice) from error

    def _usage(self, namespace: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Return what each pod uses; nothing without a metrics-server, or before it knows."""
        from kubernetes import client
        from urllib3.exceptions import HTTPError

        api = client.CustomObjectsApi(self.connection)
        try:
            listed = api.list_namespaced_custom_object(
                "metrics.k8s.io", "v1beta1", namespace, "pods", _request_timeout=2
            )
        except (client.ApiException, HTTPError):  # none is there, it does not answer, or we may not ask it
            return {}
        return {(namespace, item["metadata"]["name"]): parse_usage(item) for item in listed["items"]}


def parse_usage(item: Mapping[str, Any]) -> dict[str, Any]:
    """Add up what metrics-server says of a pod's containers, by the attributes of a `Pod`."""
    from kubernetes.utils import parse_quantity

    used = [container["usage"] for container in item["containers"]]
    return {
        "cores": float(sum(parse_quantity(each["cpu"]) for each in used)),
        "memory_bytes": int(sum(parse_quantity(each["memory"]) for each in used)),
    }


def is_over(item: Mapping[str, Any]) -> bool:
    """Tell whether a pod has ended and another was made in its place; it stays listed for a long time.

    A node whose disk is full evicts pods, and what is left of them neither runs an image nor becomes ready again.
    """
    owners = item["metadata"].get("owner_references") or []
    replaced = any(owner["kind"] in {"ReplicaSet", "StatefulSet", "DaemonSet"} for owner in owners)
    return replaced and item["status"].get("phase") in {"Failed", "Succeeded"}


def parse_pod(item: Mapping[str, Any]) -> Pod:
    """Take what the API server says of a pod apart."""
    metadata, status = item["metadata"], item["status"]
    containers = [*(status.get("init_container_statuses") or []), *(status.get("container_statuses") or [])]
    ready = any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in status.get("conditions") or []
    )
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        workload=_workload(metadata),
        ready=ready,
        state=_state(metadata, status, containers),
        restarts=sum(container["restart_count"] for container in containers),
        image=str(item["spec"]["containers"][0]["image"]).rpartition("@sha256:")[2][:12],
        address=status.get("pod_ip") or "",
        started=status["start_time"].isoformat(timespec="seconds") if status.get("start_time") else "",
        internal_port=_internal_port(item["spec"]["containers"]),
    )


def _internal_port(containers: Sequence[Mapping[str, Any]]) -> int:
    """Find the port that a service of ours gives this name (infra/service.py)."""
    ports = [port for container in containers for port in container.get("ports") or []]
    return next((int(port["container_port"]) for port in ports if port.get("name") == "internal"), 0)


def _workload(metadata: Mapping[str, Any]) -> str:
    owners = metadata.get("owner_references") or []
    if not owners:
        return str(metadata["name"])
    owner = owners[0]
    # A Deployment owns its pods through a ReplicaSet named after it and a hash.
    return str(owner["name"].rpartition("-")[0] if owner["kind"] == "ReplicaSet" else owner["name"])


def _state(metadata: Mapping[str, Any], status: Mapping[str, Any], containers: list[Mapping[str, Any]]) -> str:
    if metadata.get("deletion_timestamp"):
        return "Terminating"
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason"):
            return str(waiting["reason"])
    return str(status.get("phase") or "Unknown")
