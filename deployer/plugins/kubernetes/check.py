"""Complete and normalise a resource's inputs before anything is compared or sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deployer.plugins.kubernetes.errors import KubernetesError
from deployer.plugins.kubernetes.kinds import Kind, kind_of, patches_only
from deployer.plugins.kubernetes.manifest import WAIT_FOR, annotation, name_of, namespace_of, with_metadata
from deployer.plugins.kubernetes.names import adopt_name, assign_name
from deployer.plugins.kubernetes.normalise import dashed, normalise, underscored
from deployer.plugins.kubernetes.readiness.custom import make_judge
from deployer.plugins.kubernetes.secrecy import annotate
from deployer.plugins.values import UNKNOWN, has_unknown, reveal


def check(
    urn: str,
    news: Mapping[str, Any],
    olds: Mapping[str, Any],
    *,
    namespace_for: Callable[[Kind], str],
    seed: bytes,
    proposed: str | None,
) -> dict[str, Any]:
    """Return the inputs as they will be compared, sent and kept.

    Args:
        urn: the resource.
        news: what the program says, with secret markers.
        olds: the inputs of the last time, empty for a new resource.
        namespace_for: says where an object goes that names no namespace, "" for kinds that live outside them.
        seed: from the engine, for a generated name.
        proposed: see names.assign_name.

    Raises:
        KubernetesError: the inputs make no object, or none that can be waited for.
    """
    plain = dashed(reveal(news))
    kind = kind_of(urn, plain)
    manifest = {"apiVersion": kind.api_version, "kind": kind.kind, **normalise(plain, kind)}
    if patches_only(urn) and not name_of(manifest) and not has_unknown(manifest):
        raise KubernetesError("A patch resource needs metadata.name: the object that it patches.")
    if annotation(manifest, WAIT_FOR):
        make_judge(annotation(manifest, WAIT_FOR))
    if olds:
        manifest = adopt_name(manifest, reveal(olds))
    else:
        manifest = assign_name(manifest, resource=urn.rpartition("::")[2], seed=seed, proposed=proposed)
    return annotate(underscored(_placed(manifest, namespace_for(kind))), news)


def _placed(manifest: dict[str, Any], namespace: str) -> dict[str, Any]:
    metadata = manifest.get("metadata", {})
    if not namespace or not isinstance(metadata, Mapping) or metadata.get("namespace") == UNKNOWN:
        return manifest
    return manifest if namespace_of(manifest) else with_metadata(manifest, namespace=namespace)
