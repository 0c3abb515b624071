"""Deploy what stack prod's program makes of a stack's file into a namespace of a test."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra.catalogue import APPLICATIONS, NAMESPACE
from stacks.program import deploy
from tests.infra.recording import record

Json = dict[str, Any]

# What a namespace of its own needs; the gateway, the certificate and the autoscaler are tried elsewhere.
_KINDS = ("ServiceAccount", "Secret", "ConfigMap", "Service", "Deployment")
# Less than a managed cluster's, for a machine on which all else runs, too.
_REQUESTS = {"cpu": "20m", "memory": "64Mi"}


def manifests(root: Path, values: Mapping[str, str], images: Mapping[str, str], namespace: str) -> Iterator[Json]:
    """Run stack prod's program without an engine, and move what it makes into a namespace.

    Args:
        root: a folder that stands in for the checkout.
        values: the stack's config, as the engine would hand it over.
        images: references by name.
        namespace: where to.
    """
    (root / ".stampchat").mkdir(parents=True)
    (root / ".stampchat" / "images.json").write_text(json.dumps(dict(images)), encoding="utf-8")
    recording = record(lambda: deploy(root), dict(values), stack="prod")
    for resource in recording.objects(*_KINDS):
        manifest = copy.deepcopy(resource.inputs)
        if manifest["metadata"]["namespace"] != NAMESPACE:
            continue
        manifest["metadata"]["namespace"] = namespace
        if manifest["kind"] == "Deployment":
            _fit(manifest)
        if manifest["kind"] == "Service" and manifest["metadata"]["name"] in {one.name for one in APPLICATIONS}:
            manifest["spec"]["type"] = "NodePort"
        yield manifest


def _fit(manifest: Json) -> None:
    manifest["spec"]["replicas"] = 1
    pod = manifest["spec"]["template"]["spec"]
    for container in [*pod["initContainers"], *pod["containers"]]:
        container["resources"]["requests"] |= _REQUESTS
