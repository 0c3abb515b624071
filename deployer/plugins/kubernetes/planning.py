"""Plan an update: what changes, whether in place, and which of the two objects goes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.plugins.kubernetes.diff import Change, Difference, compare
from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.manifest import AUTONAMED, is_set, name_of, namespace_of, with_metadata
from deployer.plugins.kubernetes.names import is_named
from deployer.plugins.kubernetes.normalise import normalise
from deployer.plugins.kubernetes.prune import prune
from deployer.plugins.kubernetes.replaced import identity_fields, replaced_fields
from deployer.plugins.kubernetes.settings import Settings
from deployer.plugins.kubernetes.state import Checkpoint

_DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True)
class Plan:
    """Say what an update would do.

    Attributes:
        differences: the changed properties.
        delete_first: whether the old object must be gone before the new one is created.
    """

    differences: tuple[Difference, ...]
    delete_first: bool

    @property
    def replaces(self) -> list[str]:
        """The paths for which the object has to be made anew."""
        return [
            difference.text
            for difference in self.differences
            if difference.replaces or (difference.change is Change.DELETE and difference.path == ("metadata",))
        ]


def plan(
    old: Checkpoint,
    news: Mapping[str, Any],
    *,
    kind: Kind,
    namespaced: bool,
    patches_only: bool,
    settings: Settings,
    ignored: Sequence[str] = (),
) -> Plan:
    """Compare what the state says with what the program wants.

    Args:
        old: the state.
        news: the plain new inputs.
        kind: the object's kind.
        namespaced: whether it lives in a namespace.
        patches_only: whether it is somebody else's object: then only its name replaces it.
        settings: the provider's arguments.
        ignored: the program's ignoreChanges.
    """
    old_inputs = normalise(old.inputs, kind)
    wanted = _located(normalise(news, kind), namespaced=namespaced)
    baseline = {"apiVersion": kind.api_version, "kind": kind.kind, **prune(old.live, old_inputs)}
    baseline = _located(baseline, namespaced=namespaced)
    if name_of(wanted):
        # A generated name that the program now spells out is no change.
        baseline = with_metadata(baseline, name=name_of(old.live))
    immutable = old.live.get("immutable") is True
    differences = tuple(
        compare(
            baseline,
            wanted,
            old_inputs=_located(old_inputs, namespaced=namespaced),
            replaced=identity_fields()
            if patches_only
            else replaced_fields(kind, immutable=immutable, settings=settings),
            ignored=ignored,
        )
    )
    result = Plan(differences, delete_first=False)
    return Plan(differences, delete_first=bool(result.replaces) and _keeps_place(wanted, baseline, old.live))


def _located(manifest: Mapping[str, Any], *, namespaced: bool) -> dict[str, Any]:
    if not namespaced:
        return with_metadata(manifest, namespace=None)
    metadata = manifest.get("metadata", {})
    if isinstance(metadata, Mapping) and metadata.get("namespace"):
        return dict(manifest)
    return with_metadata(manifest, namespace=_DEFAULT_NAMESPACE)


def _keeps_place(wanted: Mapping[str, Any], baseline: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Say whether the new object would meet the old one under its own name."""
    return (
        is_named(wanted)
        and not is_set(wanted, AUTONAMED)
        and name_of(wanted) == name_of(live)
        and namespace_of(wanted) == namespace_of(baseline)
    )
