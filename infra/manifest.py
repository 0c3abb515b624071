"""Register one Kubernetes object from the plain mapping that its YAML would hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

Json = dict[str, Any]

# How long the engine waits for an object to become what it should; the pod's own last words come sooner.
PATIENCE = pulumi.CustomTimeouts(create="5m", update="5m", delete="3m")


class Manifest(pulumi.CustomResource):
    """Stand for one Kubernetes object, with the type and the state that pulumi_kubernetes's own class for it has.

    The generated classes are not used because importing those for the kinds we deploy takes 0.9 s of every preview,
    and because a mapping in Kubernetes' own words can be tested, rendered and read as YAML.

    Args:
        name: in the engine's state.
        manifest: apiVersion, kind, metadata with an explicit name, and the rest.
        opts: the component that it belongs to, and what it waits for.
    """

    def __init__(self, name: str, manifest: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        kind, api_version = manifest["kind"], manifest["apiVersion"]
        # The group of the oldest kinds has no name in Kubernetes; the provider calls it core.
        token = f"kubernetes:{'core/v1' if api_version == 'v1' else api_version}:{kind}"
        if kind == "Secret":
            own = pulumi.ResourceOptions(additional_secret_outputs=["data", "stringData"])
            opts = pulumi.ResourceOptions.merge(opts, own)
        # An output has to be announced, or nobody can read it.
        super().__init__(token, name, {"status": None, **manifest}, opts)

    @property
    @pulumi.getter
    def status(self) -> pulumi.Output[Any]:
        """What the cluster says about the object; absent until it says anything."""
        status: pulumi.Output[Any] = pulumi.get(self, "status")
        return status
