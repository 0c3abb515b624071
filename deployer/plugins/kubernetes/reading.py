"""Turn a live object back into inputs: for a refresh, and for an import that has none yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.manifest import dig, with_metadata
from deployer.plugins.kubernetes.normalise import normalise
from deployer.plugins.kubernetes.prune import follow, prune

# Written by controllers and by kubectl, never by a program.
_FOREIGN_ANNOTATIONS = frozenset(
    {"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"}
)


def refreshed_inputs(inputs: Mapping[str, Any], before: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs as the cluster has them now.

    Args:
        inputs: as the program gave them.
        before: the live object as the state has it; empty if the state has none.
        live: the live object now.
    """
    result = follow(inputs, before, live) if before else prune(live, inputs)
    return dict(result)


def imported_inputs(live: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Return everything about an object that a program could have said."""
    inputs = normalise({key: value for key, value in live.items() if key != "status"}, kind)
    annotations = dig(inputs, "metadata", "annotations", default={})
    kept = {key: value for key, value in annotations.items() if key not in _FOREIGN_ANNOTATIONS}
    return with_metadata(inputs, annotations=kept or None)
