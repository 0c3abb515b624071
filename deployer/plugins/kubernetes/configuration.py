"""Compare two sets of provider arguments: another cluster means other objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.plugins.kubernetes.kubeconfig import active_cluster
from deployer.plugins.values import UNKNOWN, reveal

_IDENTIFIER = "clusterIdentifier"
_RENDERING = "renderYamlToDirectory"
_LEADS_TO_CLUSTER = ("kubeconfig", "context", "cluster")


def changed_arguments(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Return the names of the arguments that differ."""
    old, new = reveal(olds), reveal(news)
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def replacing_arguments(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    """Return the arguments for which everything in the old cluster, or folder, has to be made anew in another."""
    old, new = reveal(olds), reveal(news)
    changed = changed_arguments(olds, news)
    if _RENDERING in changed:
        return [_RENDERING]
    if old.get(_IDENTIFIER) and new.get(_IDENTIFIER):
        return [_IDENTIFIER] if _IDENTIFIER in changed else []
    leading = [key for key in _LEADS_TO_CLUSTER if key in changed]
    unknown = [key for key in leading if new.get(key) == UNKNOWN]
    if unknown:
        return unknown
    before, after = _cluster(old), _cluster(new)
    return leading if before is not None and after is not None and before != after else []


def _cluster(arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return active_cluster(
        arguments.get("kubeconfig") or "", str(arguments.get("context") or ""), str(arguments.get("cluster") or "")
    )
