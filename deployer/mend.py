"""Mend what a run that was killed has left behind: orphaned locks, a damaged state, unfinished creations."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.abandoned import forget_abandoned, load_abandoned
from deployer.errors import DeployError
from deployer.kube import Kube
from deployer.locks import remove_dead_locks
from deployer.pulumi_process import Pulumi
from deployer.recover import recover_state
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
        urn: what the engine calls it.
        api_version: its kind's group and version.
        kind: its kind.
        namespace: where it would lie; nothing for what lies in no namespace.
        name: its name.
    """

    urn: str
    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def id(self) -> str:
        """Return what the Kubernetes plugin knows it by."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def where(self) -> dict[str, str]:
        """Return where the API has it."""
        return {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}


def mend(pulumi: Pulumi, settings: Mapping[str, Any], report: Report) -> list[str]:
    """Repair the stack's state, so that the next operation can begin.

    Args:
        pulumi: the engine on the stack.
        settings: the stack's tracked file.
        report: where progress goes.

    Returns:
        What was mended, a sentence each.

    Raises:
        DeployError: another update of the stack is under way, something is in the place of what was begun, or the
            state is damaged and there is no copy.
    """
    mended = []
    if pulumi.is_kept_here and remove_dead_locks(pulumi.workspace, pulumi.stack):
        mended.append("removed the lock of a run that was killed")
    if pulumi.is_kept_here and (recovered := recover_state(pulumi.workspace, pulumi.stack)):
        mended.append(recovered)
    pulumi.init_stack()
    checkpoint = pulumi.checkpoint()
    pending = checkpoint.get("pending_operations") or []
    known = {str(resource.get("urn")) for resource in checkpoint.get("resources") or []}
    abandoned = [
        begun for begun in parse_begun(load_abandoned(pulumi.workspace, pulumi.stack)) if begun.urn not in known
    ]
    if pending or abandoned:
        count = len(pending) + len(abandoned)
        report.note(f"clearing up {count} unfinished operations")
        _settle(pulumi, settings, parse_begun(pending), abandoned, report)
        if pending:
            pulumi.read("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
        mended.append(f"cleared up {count} operations that an earlier run did not finish")
    forget_abandoned(pulumi.workspace, pulumi.stack)
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
            kind, name = str(inputs["kind"]), str(metadata["name"])
            begun.append(Begun(str(resource["urn"]), str(inputs["apiVersion"]), kind, namespace, name))
    return begun


def _settle(
    pulumi: Pulumi, settings: Mapping[str, Any], begun: Sequence[Begun], abandoned: Sequence[Begun], report: Report
) -> None:
    """Settle each object that may exist; the engine looks at the rest.

    In a cluster of ours what was begun is taken back: it is seconds old, nothing waits for it, and it is made anew. In
    anybody else's nothing is ever deleted unasked, so what exists is taken in as it is. What a plugin abandoned is in
    no state and cannot be taken in: there a person has to say whose it is.
    """
    if begun or abandoned:
        kube = Kube(pulumi.workspace, settings)
        if is_embedded(settings):
            for item in (*begun, *abandoned):
                report.note(f"taking back {item}")
                take_back(kube, item)
        elif left := [item for item in abandoned if find_manager(kube, item)]:
            raise DeployError(
                f"{', '.join(map(str, left))} may be half made: the plugin died while it made it, and the state does "
                "not know of it. Nothing was changed.",
                advice="Delete it by kubectl, or take it in by `pulumi import`; then run the same command again.",
            )
        elif there := {item: manager for item in begun if (manager := find_manager(kube, item))}:
            report.note(f"taking in {', '.join(map(str, there))}")
            take_in(pulumi, there)


def take_in(pulumi: Pulumi, begun: Mapping[Begun, str]) -> None:
    """Write objects that exist into the state, for the engine to read them.

    The engine's own --import-pending-creates marks them for an import that none of its commands carries out. And the
    plugin that was killed signed their fields with a name that is in no state: without it, each later change of one
    would be a conflict with a manager that nobody is.

    Args:
        pulumi: the engine on the stack.
        begun: the objects, each with the manager that signed its fields.
    """
    from deployer.plugins.kubernetes.state import FIELD_MANAGER

    exported = json.loads(pulumi.read("stack", "export"))
    deployment = exported["deployment"]
    taken = {item.urn: (item.id, manager) for item, manager in begun.items()}
    for operation in deployment["pending_operations"]:
        resource = operation["resource"]
        if operation["type"] == "creating" and resource["urn"] in taken:
            # Behind everything: whatever it depends on was made before it was begun.
            name, manager = taken[resource["urn"]]
            outputs = {**resource["inputs"], FIELD_MANAGER: manager}
            deployment["resources"].append({**resource, "id": name, "outputs": outputs})
    deployment["pending_operations"] = [
        operation for operation in deployment["pending_operations"] if operation["resource"]["urn"] not in taken
    ]
    pulumi.import_state(json.dumps(exported))


def find_manager(kube: Kube, begun: Begun) -> str:
    """Return under which name an engine of ours made an object; nothing if it is not there.

    Raises:
        DeployError: it is somebody else's, or the cluster does not say.
    """
    from kubernetes.client.exceptions import ApiException
    from kubernetes.dynamic.exceptions import ResourceNotFoundError

    try:
        found = _objects(kube, begun).get(**begun.where).to_dict()
    except ResourceNotFoundError:
        return ""
    except ApiException as error:
        if error.status == 404:  # noqa: PLR2004  # it was never made
            return ""
        raise DeployError(f"The cluster does not say whether {begun} exists.", said=str(error.reason)) from error
    return _require_ours(begun, found)


def take_back(kube: Kube, begun: Begun) -> bool:
    """Delete an object that an engine of ours has made, and wait until it is gone.

    Returns:
        Whether there was one.

    Raises:
        DeployError: it is somebody else's, or does not go.
    """
    from kubernetes.client.exceptions import ApiException
    from kubernetes.dynamic.exceptions import ResourceNotFoundError

    deadline = time.monotonic() + _SECONDS
    asked = False
    try:
        objects = _objects(kube, begun)
        while True:
            _require_ours(begun, objects.get(**begun.where).to_dict())
            if not asked:
                objects.delete(**begun.where, body={"propagationPolicy": "Foreground"})
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


def _objects(kube: Kube, begun: Begun) -> Any:
    """Return what asks the API for objects of a kind; a kind that is not served is a ResourceNotFoundError."""
    from kubernetes import dynamic

    return dynamic.DynamicClient(kube.connection).resources.get(api_version=begun.api_version, kind=begun.kind)


def _require_ours(begun: Begun, found: Mapping[str, Any]) -> str:
    managers = [str(entry.get("manager", "")) for entry in found["metadata"].get("managedFields") or []]
    ours = next((manager for manager in managers if manager.startswith(_SIGNATURE)), "")
    if not ours:
        raise DeployError(
            f"{begun} exists, and it is not this stack's.",
            said=f"its fields were set by {', '.join(managers) or 'nobody known'}",
            advice="Delete it or rename it, then run the same command again.",
        )
    return ours
