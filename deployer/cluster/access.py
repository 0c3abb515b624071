"""Speak to a cluster that is not in a box of ours, by its kubeconfig alone, and see that it has what we stand on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from deployer.cluster.embedded.programs import gateway_api_definitions
from deployer.cluster.model import ClusterStatus, Instance
from deployer.errors import DeployError
from deployer.report import Report
from deployer.workspace import Workspace

# `preStop.sleep` is on by default from here: https://github.com/kubernetes/enhancements/issues/3960
_OLDEST = (1, 30)
_PATIENCE = 300.0
_PAUSE = 0.5
_SECONDS = 5
_GATEWAY_API = "gateway.networking.k8s.io"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# A policy that denies older versions and other channels; see embedded/addons.py.
_LEFT_OUT = "vap_safeupgrades"


class Access:
    """Ask a cluster's API server as the user of a kubeconfig.

    Args:
        kubeconfig: a file with one context.

    Raises:
        DeployError: the file cannot be used.
    """

    def __init__(self, kubeconfig: Path) -> None:
        from kubernetes import config

        try:
            self._connection: Any = config.new_client_from_config(config_file=str(kubeconfig))
        except (OSError, config.ConfigException) as error:
            raise DeployError(f"The kubeconfig {kubeconfig} cannot be used.", said=str(error)) from error
        self._connection.configuration.retries = False

    def get(self, path: str) -> Mapping[str, Any] | None:
        """Return what the API has at a path, or None where there is nothing.

        Raises:
            DeployError: the cluster does not answer, or refuses.
        """
        return self._call("GET", path)

    def ready(self) -> bool:
        """Return whether the API server answers."""
        try:
            self.get("/version")
        except DeployError:
            return False
        return True

    def apply(self, path: str, manifest: Mapping[str, Any]) -> None:
        """Make an object be as a manifest says.

        Raises:
            DeployError: the cluster does not answer, or refuses.
        """
        self._call("PATCH", path, manifest)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        patch = body is not None
        try:
            found = self._connection.call_api(
                path,
                method,
                query_params=[("fieldManager", "stampchat-cluster"), ("force", "true")] if patch else [],
                header_params={"Content-Type": "application/apply-patch+yaml"} if patch else {},
                body=body,
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=_SECONDS,
            )
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND and not patch:
                return None
            said = f"{error.status} {error.reason}\n{str(error.body or '')[:500]}"
            raise DeployError(f"The cluster refuses {method} {path}.", said=said) from error
        except (HTTPError, OSError, ValueError) as error:
            reason = str(getattr(error, "reason", None) or error)
            raise DeployError("The cluster's API server does not answer.", said=reason) from error
        return found if isinstance(found, Mapping) else {}


def await_standing(access: Access, name: str, report: Report) -> None:
    """Wait until a cluster has a node that pods start on and a StorageClass for the databases.

    Args:
        access: the cluster.
        name: what it is called to a person.
        report: where progress goes.

    Raises:
        DeployError: it does not come up in time, or its Kubernetes is too old.
    """
    deadline = time.monotonic() + _PATIENCE
    while lacks := _lacks(access):
        report.note(f"waiting for {name}: {lacks}")
        if time.monotonic() > deadline:
            raise DeployError(
                f"{name[0].upper()}{name[1:]} did not come up within {_PATIENCE / 60:.0f} minutes: {lacks}.",
                advice="Look with `kubectl get nodes,pods -A`; `./stampchat cluster down --purge` and `up` begin anew.",
            )
        time.sleep(_PAUSE)
    _refuse_old(access, name)


def identity(access: Access) -> str:
    """Return what only this cluster's data has, and a new one's has not."""
    found = access.get("/api/v1/namespaces/kube-system") or {}
    return str((found.get("metadata") or {}).get("uid") or "")


def gateway_api_served(access: Access) -> bool:
    """Return whether a cluster knows what our gateway is made of."""
    served = access.get(f"/apis/{_GATEWAY_API}/v1") or {}
    kinds = {resource["name"] for resource in served.get("resources") or []}
    return {"gatewayclasses", "gateways", "httproutes", "grpcroutes", "tlsroutes", "backendtlspolicies"} <= kinds


def install_gateway_api(access: Access, cache: Path, report: Report) -> None:
    """Give a cluster of ours the definitions of the Gateway API.

    Args:
        access: the cluster.
        cache: where they lie.
        report: where progress goes.

    Raises:
        DeployError: they cannot be had, or the cluster refuses them.
    """
    if gateway_api_served(access):
        return
    import yaml

    folder = gateway_api_definitions(cache, report)
    report.note("applying the definitions of the Gateway API")
    for file in sorted(folder.glob("*.yaml")):
        group, _, plural = file.stem.partition("_")
        if plural != _LEFT_OUT:
            manifest = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
            access.apply(f"{_DEFINITIONS}/{plural}.{group}", manifest)
    deadline = time.monotonic() + _PATIENCE
    while not gateway_api_served(access):
        if time.monotonic() > deadline:
            raise DeployError("The cluster does not serve the Gateway API, though it has its definitions.")
        time.sleep(_PAUSE)


def status(workspace: Workspace, instance: Instance) -> ClusterStatus:
    """Say how a cluster does that is not in a box of ours; it has no components that we know.

    Args:
        workspace: the checkout.
        instance: what sets its cluster apart.
    """
    kubeconfig = workspace.cluster / "kubeconfig"
    running = ready = False
    if kubeconfig.exists():
        try:
            access = Access(kubeconfig)
            running = access.ready()
            ready = running and node_ready(access)
        except DeployError:
            ready = False
    address = instance.url or "127.0.0.1"
    return ClusterStatus(str(instance.context or instance.name), running, [], ready, address, kubeconfig, 0)


def node_ready(access: Access) -> bool:
    """Return whether there is a node, and each is ready."""
    nodes = (access.get("/api/v1/nodes") or {}).get("items") or []
    states = [
        condition["status"] == "True"
        for node in nodes
        for condition in node["status"].get("conditions") or []
        if condition["type"] == "Ready"
    ]
    return bool(states) and all(states)


def _lacks(access: Access) -> str:
    try:
        if not node_ready(access):
            return "no node is ready"
        classes = (access.get("/apis/storage.k8s.io/v1/storageclasses") or {}).get("items") or []
    except DeployError as error:
        return " ".join(str(error).split())
    key = "storageclass.kubernetes.io/is-default-class"
    usual = [each for each in classes if (each["metadata"].get("annotations") or {}).get(key) == "true"]
    return "" if usual else "it has no default StorageClass"


def _refuse_old(access: Access, name: str) -> None:
    told = access.get("/version") or {}
    digits = [int("".join(filter(str.isdigit, str(told.get(key) or "0"))) or 0) for key in ("major", "minor")]
    if tuple(digits) < _OLDEST:
        raise DeployError(
            f"Kubernetes of {name} is {told.get('gitVersion')}, and pods need {_OLDEST[0]}.{_OLDEST[1]} to stop "
            "without losing requests.",
            advice="Make a newer one: a newer kind or k3d brings it.",
        )
