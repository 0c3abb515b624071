"""Carry one resource through its life: create, update, read, delete, as the engine asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from deployer.plugins.kubernetes import objects
from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.cluster import Cluster
from deployer.plugins.kubernetes.errors import ApiError, KubernetesError, UnknownKindError
from deployer.plugins.kubernetes.kinds import Kind, kind_of, patches_only
from deployer.plugins.kubernetes.manifest import (
    SKIP_AWAIT,
    TIMEOUT_SECONDS,
    annotation,
    is_set,
    name_of,
    object_id,
    parse_id,
    with_metadata,
)
from deployer.plugins.kubernetes.normalise import dashed, normalise
from deployer.plugins.kubernetes.prune import prune
from deployer.plugins.kubernetes.readiness import wait_gone, wait_ready
from deployer.plugins.kubernetes.readiness.subject import Subject
from deployer.plugins.kubernetes.reading import imported_inputs, refreshed_inputs
from deployer.plugins.kubernetes.secrecy import annotate
from deployer.plugins.kubernetes.state import Checkpoint, choose_field_manager, read_checkpoint, write_checkpoint
from deployer.plugins.rpc import PartialError
from deployer.plugins.values import has_unknown, reveal

Properties = dict[str, Any]

_TIMEOUT = 600.0
# Kinds whose deletion the official plugin does not wait for under skipAwait.
_UNAWAITED_ENDS = frozenset(
    {"Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"}
)


@dataclass(frozen=True)
class Lifecycle:
    """Work on one resource.

    Attributes:
        cluster: where its object is or will be.
        urn: the resource.
        timeout: the program's customTimeouts in seconds, 0 for none.
        tell: shows one line beside the resource.
    """

    cluster: Cluster
    urn: str
    timeout: float
    tell: Callable[[str], None]

    def create(self, given: Properties, *, preview: bool) -> tuple[str, Properties]:
        """Create the object and wait for it; return its id and its outputs.

        Raises:
            PartialError: it exists but did not become ready.
        """
        inputs = dashed(reveal(given))
        target = self._target(inputs, "")
        if preview:
            return "", self._preview(target, inputs, given, lambda: objects.create(target, inputs, dry_run=True))
        live = objects.create(target, inputs, dry_run=False)
        self._forget_kinds(target.kind)
        note = Checkpoint(inputs, live, str(inputs["apiVersion"]), target.manager)
        live = self._await(target, note, given)
        return object_id(live), self._outputs(note, live, given)

    def update(self, olds: Properties, given: Properties, *, ignored: tuple[str, ...], preview: bool) -> Properties:
        """Bring the object to the new inputs and wait for it; return its outputs.

        Raises:
            PartialError: it was changed but did not become ready.
        """
        inputs, old = dashed(reveal(given)), read_checkpoint(olds)
        target = self._target(inputs, old.field_manager)
        inputs = with_metadata(inputs, name=name_of(inputs) or name_of(old.live))
        before = prune(old.live, normalise(old.inputs, target.kind))

        def apply() -> Manifest:
            return objects.update(target, inputs, before, name=name_of(old.live), ignored=ignored, dry_run=preview)

        if preview:
            return self._preview(target, inputs, given, apply, old=old)
        live = apply()
        self._forget_kinds(target.kind)
        note = Checkpoint(inputs, live, old.initial_api_version, target.manager)
        return self._outputs(note, self._await(target, note, given), given)

    def read(self, identifier: str, state: Properties, given: Properties) -> tuple[str, Properties, Properties]:
        """Return id, outputs and inputs of the object as it is now; an empty id if there is none."""
        old, inputs = read_checkpoint(state), dashed(reveal(given))
        target = self._target(inputs or old.live, old.field_manager)
        namespace, name = parse_id(identifier)
        try:
            live = self.cluster.api.get(target.find(), namespace or self.cluster.namespace, name)
        except UnknownKindError:
            return "", {}, {}
        except ApiError as error:
            if error.not_found:
                return "", {}, {}
            raise
        now = refreshed_inputs(inputs, old.live, live) if inputs else imported_inputs(live, target.kind)
        note = Checkpoint(now, live, old.initial_api_version or str(live["apiVersion"]), target.manager)
        return object_id(live), self._outputs(note, live, given), annotate(now, given)

    def delete(self, identifier: str, state: Properties) -> None:
        """Delete the object and wait until it is gone.

        Raises:
            NotReadyError: it is still there when the time is over.
        """
        old = read_checkpoint(state)
        target = self._target(old.inputs or old.live, old.field_manager)
        live = objects.delete(target, old.inputs, old.live, name=parse_id(identifier)[1])
        skipped = is_set(old.inputs, SKIP_AWAIT) and target.kind.kind in _UNAWAITED_ENDS
        if live is not None and not skipped:
            subject = Subject(target.api, target.find(), live, old.inputs, cancelled=self.cluster.cancelled)
            wait_gone(subject, seconds=self._seconds(old.inputs), tell=self.tell)
        self._forget_kinds(target.kind)

    def _target(self, inputs: Mapping[str, Any], manager: str) -> objects.Target:
        chosen = choose_field_manager(inputs, manager, server_side=self.cluster.settings.server_side_apply)
        return objects.Target(self.cluster, kind_of(self.urn, inputs), patches_only(self.urn), chosen, self.tell)

    def _await(self, target: objects.Target, note: Checkpoint, given: Properties) -> Manifest:
        if target.patches_only:
            return note.live
        subject = Subject(target.api, target.find(), note.live, note.inputs, cancelled=self.cluster.cancelled)
        try:
            return wait_ready(subject, target.kind, seconds=self._seconds(note.inputs), tell=self.tell)
        except KubernetesError as error:  # whatever kept us from seeing it ready: it exists
            outputs = self._outputs(note, dict(getattr(error, "live", None) or note.live), given)
            raise PartialError(
                error.what, id=object_id(note.live), properties=outputs, inputs=given, reasons=[str(error)]
            ) from error

    def _preview(
        self,
        target: objects.Target,
        inputs: Manifest,
        given: Properties,
        run: Callable[[], Manifest],
        old: Checkpoint | None = None,
    ) -> Properties:
        """Return what a dry run on the server answers, or the inputs where there can be none yet."""
        creates_patch = target.patches_only and old is None
        if has_unknown(inputs) or creates_patch or not self.cluster.settings.server_side_apply:
            return given
        try:
            live = run()
        except UnknownKindError:
            return given
        except ApiError as error:
            if _no_dry_run(error):
                return given
            raise
        initial = old.initial_api_version if old else str(inputs["apiVersion"])
        note = Checkpoint(inputs, live, initial, target.manager)
        # A status that is still empty would be taken for known by a program that reads it.
        shown = live if old else {key: value for key, value in live.items() if key != "status"}
        return self._outputs(note, shown, given)

    def _outputs(self, note: Checkpoint, live: Mapping[str, Any], given: Properties) -> Properties:
        return write_checkpoint(
            inputs=note.inputs,
            live=live,
            given=given,
            initial_api_version=note.initial_api_version,
            field_manager=note.field_manager,
        )

    def _seconds(self, inputs: Mapping[str, Any]) -> float:
        asked = annotation(inputs, TIMEOUT_SECONDS)
        return self.timeout or (float(asked) if asked.isdigit() else _TIMEOUT)

    def _forget_kinds(self, kind: Kind) -> None:
        if kind.kind == "CustomResourceDefinition" and kind.built_in:
            self.cluster.discovery.forget()


def _no_dry_run(error: ApiError) -> bool:
    """Say whether a preview can do without: the namespace is not there yet, the old object is there still."""
    unsupported = error.status == HTTPStatus.BAD_REQUEST and "dry run" in error.what
    return error.not_found or error.already_exists or error.forbidden or unsupported
