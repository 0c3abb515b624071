"""Know Kubernetes' kinds: what a Pulumi type means, which kinds have no namespace, which are built in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.plugins.kubernetes.errors import KubernetesError, UnsupportedError

# Kinds of the built-in groups that live outside namespaces; everything else built in is namespaced.
_CLUSTER_SCOPED = frozenset(
    {
        "APIService", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding", "ClusterTrustBundle",
        "ComponentStatus", "CSIDriver", "CSINode", "CustomResourceDefinition", "DeviceClass", "FlowSchema", "IPAddress",
        "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
        "Namespace", "Node", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration", "ResourceSlice",
        "RuntimeClass", "ServiceCIDR", "SelfSubjectReview", "StorageClass", "StorageVersionMigration", "TokenReview",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
        "VolumeAttachment", "VolumeAttributesClass",
    }
)  # fmt: skip

_BUILT_IN_GROUPS = frozenset(
    {
        "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps",
        "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io",
        "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "extensions", "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io", "node.k8s.io", "policy", "rbac.authorization.k8s.io", "resource.k8s.io",
        "scheduling.k8s.io", "storage.k8s.io",
    }
)  # fmt: skip

# Pulumi types of this package that are no plain Kubernetes objects.
_UNSUPPORTED = {
    "kubernetes:helm.sh/": "Helm",
    "kubernetes:kustomize": "Kustomize",
}


@dataclass(frozen=True)
class Kind:
    """Name a kind as objects do.

    Attributes:
        api_version: such as apps/v1, or v1 for the core group.
        kind: such as Deployment.
    """

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        """The group alone, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def built_in(self) -> bool:
        """Whether it comes with every API server."""
        return self.group in _BUILT_IN_GROUPS

    @property
    def namespaced(self) -> bool | None:
        """Whether its objects live in namespaces; None when only the cluster can tell."""
        return self.kind not in _CLUSTER_SCOPED if self.built_in else None

    def __str__(self) -> str:
        return f"{self.api_version}/{self.kind}"


def resource_type(urn: str) -> str:
    """Return a resource's own Pulumi type (`kubernetes:apps/v1:Deployment`) from its URN."""
    return urn.split("::")[2].rpartition("$")[2]


def patches_only(urn: str) -> bool:
    """Say whether the resource manages some fields of an object that others own (`ConfigMapPatch`)."""
    pulumi_type = resource_type(urn)
    return pulumi_type.endswith("Patch") and _of_token(pulumi_type).built_in


def kind_of(urn: str, manifest: Mapping[str, Any]) -> Kind:
    """Return the kind that a resource has.

    Args:
        urn: the resource's URN.
        manifest: its inputs; what they leave out is taken from the type.

    Raises:
        UnsupportedError: a Helm release, a kustomization.
        KubernetesError: a list; its items are the resources.
    """
    pulumi_type = resource_type(urn)
    for prefix, name in _UNSUPPORTED.items():
        if pulumi_type.startswith(prefix):
            raise UnsupportedError(f"{name} ({pulumi_type})")
    token = _of_token(pulumi_type)
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        api_version, kind = token.api_version, token.kind.removesuffix("Patch" if patches_only(urn) else "")
    if kind.endswith("List") and token.built_in and kind != "List":
        raise KubernetesError(f"A {kind} cannot be a resource: declare each of its items as one.")
    return Kind(api_version.removeprefix("core/"), kind)


def _of_token(pulumi_type: str) -> Kind:
    _, module, name = pulumi_type.split(":", 2)
    return Kind(module.removeprefix("core/"), name)
