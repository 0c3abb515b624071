"""Say what the cluster refused or did not finish.

KubernetesError
├── ClusterUnreachableError: no answer, or no usable kubeconfig
├── ApiError: the API server refused a request
├── UnknownKindError: the API server has no such kind (yet)
├── NotReadyError: an object exists but did not become what was asked
├── CancelledError: the engine was asked to stop
└── UnsupportedError: the official plugin can do it, this one cannot
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from deployer.errors import DeployError


class KubernetesError(DeployError):
    """Report a failure of this plugin or of the cluster that it talks to."""


class ClusterUnreachableError(KubernetesError):
    """Report a cluster that does not answer, or a kubeconfig that leads to none.

    Args:
        why: what was found.
        asked: whether the request may have reached the server, whose answer was lost.
    """

    def __init__(self, why: str, *, asked: bool = False) -> None:
        super().__init__(
            f"The Kubernetes cluster cannot be reached: {why}",
            advice="If the cluster is gone for good, PULUMI_K8S_DELETE_UNREACHABLE=true lets `refresh` "
            "and `destroy` forget its objects.",
        )
        self.asked = asked


class ApiError(KubernetesError):
    """Report a request that the API server refused.

    Args:
        status: the HTTP status.
        body: the API server's Status object.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(str(body.get("message") or f"the API server answered {status}"))
        self.status = status
        self.reason = str(body.get("reason") or "")
        self.details: Mapping[str, Any] = body.get("details") or {}

    @property
    def causes(self) -> list[Mapping[str, Any]]:
        """What the API server names as causes: field, reason, message each."""
        return list(self.details.get("causes") or [])

    @property
    def not_found(self) -> bool:
        """Whether there is no such object."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def already_exists(self) -> bool:
        """Whether a create met an object of that name."""
        return self.status == HTTPStatus.CONFLICT and self.reason == "AlreadyExists"

    @property
    def being_deleted(self) -> bool:
        """Whether a create met an object of that name that is about to go."""
        return self.already_exists and "object is being deleted" in self.what

    @property
    def conflict(self) -> bool:
        """Whether another manager owns a field that was to be changed."""
        return self.status == HTTPStatus.CONFLICT and self.reason == "Conflict"

    @property
    def forbidden(self) -> bool:
        """Whether this user may not do it."""
        return self.status == HTTPStatus.FORBIDDEN

    @property
    def is_inside(self) -> bool:
        """Whether the server failed in the middle of it, and may have done it."""
        return self.status == HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def namespace_missing(self) -> bool:
        """Whether the object's namespace is what was not found."""
        return self.not_found and self.details.get("kind") == "namespaces"


class UnknownKindError(KubernetesError):
    """Report a kind that the API server does not serve."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(
            f"The cluster has no kind {kind} in {api_version}.",
            advice="Create its CustomResourceDefinition first, and let this resource depend on it.",
        )


class NotReadyError(KubernetesError):
    """Report an object that did not become ready, or did not go away, with the reason found for it."""

    def __init__(self, what: str, *, said: str = "", advice: str = "", live: Mapping[str, Any] | None = None) -> None:
        super().__init__(what, said=said, advice=advice)
        self.live = live


class CancelledError(KubernetesError):
    """Report work that stopped because the engine asked for it."""

    def __init__(self, what: str, *, live: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{what} was not waited for: the update was cancelled.")
        self.live = live


class UnsupportedError(KubernetesError):
    """Refuse what only the official plugin can do."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs the official Pulumi plugin for Kubernetes; the stand-in that serves here cannot do it.",
            advice="On a machine that reaches the internet: `pulumi plugin install resource kubernetes`.",
        )
