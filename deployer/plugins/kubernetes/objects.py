"""Create, update, read and delete one object, for real or as a dry run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.plugins.kubernetes.api import JSON_PATCH, MERGE_PATCH, Api, Manifest, Resource
from deployer.plugins.kubernetes.cluster import Cluster
from deployer.plugins.kubernetes.errors import (
    ApiError,
    ClusterUnreachableError,
    KubernetesError,
    UnknownKindError,
)
from deployer.plugins.kubernetes.field_managers import explain_conflict, leave_ignored, take_over
from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.manifest import (
    DELETION_PROPAGATION,
    PATCH_FORCE,
    annotation,
    dig,
    is_set,
    label_of,
    name_of,
    namespace_of,
)
from deployer.plugins.kubernetes.merge import merge_patch
from deployer.plugins.kubernetes.state import CLIENT_SIDE_MANAGER

# A namespace or a definition that is being created at this moment is there within these pauses.
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_CLAIMS = 5  # tries against controllers that write at the same moment
_POLICIES = {"orphan": "Orphan", "background": "Background"}


@dataclass(frozen=True)
class Target:
    """Name the object that is worked on.

    Attributes:
        cluster: where it is or will be.
        kind: what it is.
        patches_only: whether it is somebody else's and we manage some fields of it.
        manager: under which name the server notes our fields.
        tell: receives one line when something takes time.
    """

    cluster: Cluster
    kind: Kind
    patches_only: bool
    manager: str
    tell: Callable[[str], None]

    @property
    def api(self) -> Api:
        """The way to the cluster."""
        return self.cluster.api

    def find(self) -> Resource:
        """Return where the kind's objects lie, or raise UnknownKindError."""
        return self.cluster.discovery.find(self.kind)


def create(target: Target, inputs: Manifest, *, dry_run: bool) -> Manifest:
    """Create an object and return it as the server has it.

    Raises:
        ApiError: the server refused.
        KubernetesError: there is one of that name.
        UnknownKindError: its kind does not exist, also not after half a minute.
    """
    in_doubt = False
    for pause in (*_PAUSES, None):
        try:
            return _create_once(target, inputs, dry_run=dry_run, in_doubt=in_doubt)
        except (ApiError, UnknownKindError, ClusterUnreachableError) as error:
            lost = _is_lost(error)
            if dry_run or pause is None or not (lost or _is_passing(error)) or target.cluster.cancelled.is_set():
                raise
            in_doubt = in_doubt or lost
            target.tell(f"{'asking again' if lost else 'waiting for what it needs'}: {error.what}")
        target.cluster.cancelled.wait(pause)
    raise AssertionError("the last try returns or raises")


def _is_passing(error: KubernetesError) -> bool:
    """Say whether a create was refused for what others are about to make, or to take away."""
    if isinstance(error, ApiError):
        return error.not_found or error.being_deleted
    return isinstance(error, UnknownKindError)


def _is_lost(error: KubernetesError) -> bool:
    """Say whether a create may have been carried out although nobody was told so."""
    if isinstance(error, ApiError):
        return error.is_inside
    return isinstance(error, ClusterUnreachableError) and error.asked


def update(
    target: Target, inputs: Manifest, old: Manifest, *, name: str, ignored: tuple[str, ...], dry_run: bool
) -> Manifest:
    """Bring an object to the new inputs and return it as the server has it.

    Args:
        target: the object.
        inputs: what the program wants.
        old: the live object of the state, pruned to what the program wanted before.
        name: the object's name in the cluster.
        ignored: the program's ignoreChanges.
        dry_run: whether nothing is to change.

    Raises:
        ApiError: the server refused.
        KubernetesError: another manager owns a field that would change.
    """
    resource, namespace = target.find(), namespace_of(inputs)
    live = target.api.get(resource, namespace, name)
    if target.kind.kind == "CustomResourceDefinition" and target.kind.built_in:
        return _replace(target, resource, inputs, live, dry_run=dry_run)
    # A dry run cannot take fields over first: as long as a predecessor has them, lists would be merged, not replaced.
    unclaimed = dry_run and not target.patches_only and take_over(live, target.manager) is not None
    if unclaimed or not target.cluster.settings.server_side_apply:
        patch, how = merge_patch(old, inputs), {"content_type": MERGE_PATCH, "manager": CLIENT_SIDE_MANAGER}
        return target.api.patch(resource, namespace, name, patch, **how, dry_run=dry_run)
    force = _forced(target, inputs) or not dig(live, "metadata", "managedFields")
    if not dry_run and not target.patches_only:
        live = _claim(target, resource, live)
    return _apply(target, resource, leave_ignored(inputs, live, ignored, target.manager), force=force, dry_run=dry_run)


def delete(target: Target, inputs: Manifest, live: Manifest, *, name: str) -> Manifest | None:
    """Ask for an object's end and return it as it is until then; None if it is gone already.

    Raises:
        ApiError: the server refused.
    """
    try:
        resource = target.find()
        if target.patches_only:
            _relinquish(target, resource, live, name)
            return None
        propagation = _POLICIES.get(annotation(inputs, DELETION_PROPAGATION).lower(), "Foreground")
        target.api.delete(resource, namespace_of(live), name, propagation=propagation)
    except UnknownKindError:
        return None  # with its definition went the object
    except ApiError as error:
        if error.not_found:
            return None
        raise
    return live


def _create_once(target: Target, inputs: Manifest, *, dry_run: bool, in_doubt: bool) -> Manifest:
    resource, namespace = target.find(), namespace_of(inputs)
    settings = target.cluster.settings
    if settings.server_side_apply and (settings.upsert or target.patches_only):
        return _apply(target, resource, inputs, force=_forced(target, inputs) or dry_run, dry_run=dry_run)
    try:
        live = target.api.create(resource, namespace, inputs, manager=CLIENT_SIDE_MANAGER, dry_run=dry_run)
    except ApiError as error:
        if not error.already_exists or error.being_deleted or dry_run:
            raise
        made = _made_before(target, resource, inputs) if in_doubt else None
        if made is None:
            raise _explain_existing(error, inputs) from error
        live = made
    return live if dry_run or not settings.server_side_apply else _claim(target, resource, live)


def _made_before(target: Target, resource: Resource, inputs: Manifest) -> Manifest | None:
    """Return the object if the request before this one made it, whose answer was lost.

    It was not there before: that request would have been refused. And whoever makes one under our name claims its
    fields at once, so that none is left unclaimed for long.
    """
    live = target.api.get(resource, namespace_of(inputs), name_of(inputs))
    managers = {str(entry.get("manager")) for entry in dig(live, "metadata", "managedFields", default=[])}
    return live if CLIENT_SIDE_MANAGER in managers else None


def _apply(target: Target, resource: Resource, inputs: Manifest, *, force: bool, dry_run: bool) -> Manifest:
    try:
        return target.api.apply(
            resource, namespace_of(inputs), inputs, manager=target.manager, force=force, dry_run=dry_run
        )
    except ApiError as error:
        if error.conflict and error.causes:
            raise explain_conflict(error, inputs) from error
        raise


def _forced(target: Target, inputs: Manifest) -> bool:
    return target.cluster.settings.patch_force or is_set(inputs, PATCH_FORCE)


def _claim(target: Target, resource: Resource, live: Manifest) -> Manifest:
    """Note our predecessors' fields under our name and return the object as it is then."""
    for _ in range(_CLAIMS):
        patch = take_over(live, target.manager)
        if patch is None:
            break
        where = (resource, namespace_of(live), name_of(live))
        try:
            return target.api.patch(*where, patch, content_type=JSON_PATCH, manager="", dry_run=False)
        except ApiError as error:
            if not error.conflict:
                break  # whoever may create but not patch keeps what was created
            live = target.api.get(*where)  # a controller was there in between
    return live


def _replace(target: Target, resource: Resource, inputs: Manifest, live: Manifest, *, dry_run: bool) -> Manifest:
    # A definition is put in whole, as `kubectl replace` does: merging schemas field by field leaves remains.
    metadata = {**inputs["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}
    return target.api.replace(resource, "", {**inputs, "metadata": metadata}, manager=target.manager, dry_run=dry_run)


def _relinquish(target: Target, resource: Resource, live: Mapping[str, Any], name: str) -> None:
    """Give fields back by applying none: the server removes those that nobody else manages."""
    metadata = {key: value for key, value in (("name", name), ("namespace", namespace_of(live))) if value}
    nothing = {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata}
    target.api.apply(resource, namespace_of(live), nothing, manager=target.manager, force=False, dry_run=False)


def _explain_existing(error: ApiError, inputs: Manifest) -> KubernetesError:
    return KubernetesError(
        f"{label_of(inputs)} exists already and is not in this stack's state.",
        said=error.what,
        advice="If it is yours, import it (the resource option `import_`, or `pulumi import`); if a resource was "
        "renamed, give the new one an alias.",
    )
