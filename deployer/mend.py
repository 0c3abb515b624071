"""Mend what a run that was killed has left behind: locks without an owner, creations without an end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.errors import DeployError
from deployer.kube import Kube
from deployer.locks import remove_dead_locks
from deployer.pulumi_process import Pulumi
from deployer.report import Report
from deployer.stack import is_embedded

# How both the official plugin and ours sign what they apply.
_SIGNATURE = "pulumi-kubernetes"
_SECONDS = 120
_PAUSE = 0.2


@dataclass(frozen=True)
class Begun:
    """A Kubernetes object whose creation was begun, and may have succeeded.

    Attributes:
        api_version: its kind's group and version.
        kind: its kind.
        namespace: where it would lie; nothing for what lies in no namespace.
        name: its name.
    """

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def mend(pulumi: Pulumi, settings: Mapping[str, Any], report: Report) -> list[str]:
    """Repair the stack's state, so that the next operation can begin.

    Args:
        pulumi: the engine on the stack.
        settings: the stack's tracked file.
        report: where progress goes.

    Returns:
        What was mended, a sentence each.

    Raises:
        DeployError: another update of the stack is under way, or only a person can tell what is right.
    """
    mended = []
    if pulumi.is_kept_here and remove_dead_locks(pulumi.workspace, pulumi.stack):
        mended.append("removed the lock of a run that was killed")
    pulumi.init_stack()
    pending = pulumi.checkpoint().get("pending_operations") or []
    if pending:
        report.note(f"clearing up {len(pending)} unfinished operations")
        _clear(pulumi, settings, parse_begun(pending), report)
        mended.append(f"cleared up {len(pending)} operations that an earlier run did not finish")
    return mended


def parse_begun(pending: Sequence[Mapping[str, Any]]) -> list[Begun]:
    """Pick the objects that may exist although the state does not know them."""
    begun = []
    for operation in pending:
        resource = operation["resource"]
        inputs = resource.get("inputs") or {}
        metadata = inputs.get("metadata")
        is_ours = operation.get("type") == "creating" and str(resource["type"]).startswith("kubernetes:")
        if is_ours and isinstance(metadata, dict) and metadata.get("name"):
            namespace = str(metadata.get("namespace") or "")
            begun.append(Begun(str(inputs["apiVersion"]), str(inputs["kind"]), namespace, str(metadata["name"])))
    return begun


def _clear(pulumi: Pulumi, settings: Mapping[str, Any], begun: Sequence[Begun], report: Report) -> None:
    """Take back what was begun, then let the engine look at the rest.

    The plugin that was killed took with it the name under which it signed the object's fields, so an object that is
    taken in as it is could not be updated later. It is seconds old and nothing waits for it: it is made anew.
    """
    if begun and not is_embedded(settings):
        raise DeployError(
            f"An earlier run of stack {pulumi.stack} was killed while it was creating something.",
            said="\n".join(map(str, begun)),
            advice="See in the cluster whether it exists, then let `pulumi refresh` take it in or drop it: "
            f'eval "$(./stampchat env {pulumi.stack})"; pulumi -C "$STAMPCHAT_PROJECT" refresh -s {pulumi.stack}',
        )
    if begun:
        kube = Kube(pulumi.workspace, settings)
        for item in begun:
            report.note(f"taking back {item}")
            take_back(kube, item)
    pulumi.read("refresh", "--yes", "--skip-preview", "--clear-pending-creates")


def take_back(kube: Kube, begun: Begun) -> bool:
    """Delete an object that an engine of ours has made, and wait until it is gone.

    Returns:
        Whether there was one.

    Raises:
        DeployError: it is somebody else's, or does not go.
    """
    from kubernetes import dynamic
    from kubernetes.client.exceptions import ApiException
    from kubernetes.dynamic.exceptions import ResourceNotFoundError

    where = {"name": begun.name, **({"namespace": begun.namespace} if begun.namespace else {})}
    deadline = time.monotonic() + _SECONDS
    asked = False
    try:
        objects = dynamic.DynamicClient(kube.connection).resources.get(api_version=begun.api_version, kind=begun.kind)
        while True:
            _require_ours(begun, objects.get(**where).to_dict())
            if not asked:
                objects.delete(**where, body={"propagationPolicy": "Foreground"})
                asked = True
            if time.monotonic() > deadline:
                raise DeployError(f"{begun} does not go away.", advice="See `./stampchat status`, and try again.")
            time.sleep(_PAUSE)
    except ResourceNotFoundError:
        return False
    except ApiException as error:
        if error.status != 404:  # noqa: PLR2004  # gone is what was wanted
            raise DeployError(f"{begun} could not be taken back.", said=str(error.reason)) from error
        return asked


def _require_ours(begun: Begun, found: Mapping[str, Any]) -> None:
    managers = [str(entry.get("manager", "")) for entry in found["metadata"].get("managedFields") or []]
    if not any(manager.startswith(_SIGNATURE) for manager in managers):
        raise DeployError(
            f"{begun} exists, and it is not this stack's.",
            said=f"its fields were set by {', '.join(managers) or 'nobody known'}",
            advice="Delete it or rename it, then run the same command again.",
        )
