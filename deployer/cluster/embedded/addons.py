"""Put into the cluster what a cluster is expected to have: DNS, a StorageClass and the Gateway API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deployer.cluster.embedded.api import Api, has_condition
from deployer.cluster.embedded.programs import Programs
from deployer.versions import load_versions

MANIFESTS = Path(__file__).parent / "manifests"

_CORE = "/api/v1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

# Where the API keeps the kinds that our manifests use.
_FOLDERS = {
    "Namespace": (_CORE, "namespaces"),
    "ServiceAccount": (_CORE, "serviceaccounts"),
    "ConfigMap": (_CORE, "configmaps"),
    "Service": (_CORE, "services"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Role": (_RBAC, "roles"),
    "RoleBinding": (_RBAC, "rolebindings"),
    "ClusterRole": (_RBAC, "clusterroles"),
    "ClusterRoleBinding": (_RBAC, "clusterrolebindings"),
    "APIService": ("/apis/apiregistration.k8s.io/v1", "apiservices"),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "StorageClass": ("/apis/storage.k8s.io/v1", "storageclasses"),
}

_VERSION = "gateway.networking.k8s.io/bundle-version"

# This one is a policy that denies older versions and other channels of the Gateway API. Only we install definitions
# here, by version; and whoever tries another channel on a cluster of their own should not be denied it.
_LEFT_OUT = "vap_safeupgrades"


def apply_addons(api: Api, programs: Programs) -> None:
    """Apply our manifests.

    Args:
        api: the cluster.
        programs: names the image that the manifests run.

    Raises:
        DeployError: the API server refuses one, or does not answer.
    """
    for file in sorted(MANIFESTS.glob("*.yaml")):
        apply_manifests(api, file, {"@IMAGE@": programs.image.reference})


def apply_manifests(api: Api, file: Path, values: Mapping[str, str]) -> None:
    """Apply the manifests of one file.

    Args:
        api: the cluster.
        file: YAML documents, in the order in which they are applied.
        values: what stands in for the placeholders in it.

    Raises:
        DeployError: the API server refuses one, or does not answer.
    """
    text = file.read_text(encoding="utf-8")
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    for manifest in yaml.load_all(text, Loader=yaml.CSafeLoader):
        api.apply(_path_of(manifest), json.dumps(manifest).encode())


def apply_gateway_api(api: Api, programs: Programs) -> None:
    """Apply the Gateway API's definitions, those that are not there yet.

    Args:
        api: the cluster.
        programs: names the folder that they lie in.

    Raises:
        DeployError: the API server refuses one, or does not answer.
    """
    present = _established(api)
    for name, file in _definitions(programs):
        if name not in present:
            # As the file has it: reading a megabyte of YAML only to write it as JSON takes seconds.
            api.apply(f"{_DEFINITIONS}/{name}", file.read_bytes())


def gateway_api_established(api: Api, programs: Programs) -> bool:
    """Return whether every definition of the Gateway API is served.

    Args:
        api: the cluster.
        programs: names the folder that they lie in.
    """
    return _established(api) >= {name for name, _ in _definitions(programs)}


def _definitions(programs: Programs) -> Iterator[tuple[str, Path]]:
    """Yield each definition's name and file; a file is called GROUP_PLURAL.yaml."""
    for file in sorted(programs.gateway_api.glob("*.yaml")):
        group, _, plural = file.stem.partition("_")
        if plural != _LEFT_OUT:
            yield f"{plural}.{group}", file


def _established(api: Api) -> set[str]:
    """Return the names of the definitions that are served, in the version that we would apply."""
    listed = api.get(_DEFINITIONS) or {"items": []}
    version = f"v{load_versions()['cluster']['gateway_api']}"
    return {
        item["metadata"]["name"]
        for item in listed["items"]
        if item["metadata"].get("annotations", {}).get(_VERSION) == version and has_condition(item, "Established")
    }


def _path_of(manifest: dict[str, Any]) -> str:
    """Return where the API keeps what a manifest of ours describes."""
    root, plural = _FOLDERS[manifest["kind"]]
    metadata = manifest["metadata"]
    inside = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{inside}/{plural}/{metadata['name']}"
