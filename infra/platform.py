"""Install what a stack on a managed cluster stands on: cert-manager, and the Emissary-ingress that lets requests in."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi

from infra.component import Component
from infra.config import StackConfig

CERT_MANAGER_NAMESPACE = "cert-manager"
# Images have to come from far away, and cert-manager's chart ends with a look whether its webhook answers.
PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Chart:
    """Name one release of a Helm chart.

    Attributes:
        address: where it lies, an OCI reference.
        version: which of its versions.
    """

    address: str
    version: str


class Platform(Component):
    """Install the charts, each one's custom resource definitions first, and wait until what they run is ready.

    Helm releases are work of the official Kubernetes plugin alone; our stand-in refuses them.

    Args:
        name: in the engine's state.
        config: the stack's.
        charts: by name, as `load_charts` reads them.
        opts: the cluster's provider, and what comes first.
    """

    def __init__(
        self, name: str, config: StackConfig, charts: Mapping[str, Chart], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("Platform", name, opts)
        gateway_api = config.gateway.kind == "gateway-api"
        # Its chart brings its definitions along, and keeps them when it goes: with them go all certificates.
        self._release(
            "cert-manager", charts["cert-manager"], CERT_MANAGER_NAMESPACE, cert_manager_values(gateway_api=gateway_api)
        )
        if not gateway_api:
            namespace = config.gateway.ambassador_namespace
            definitions = self._release(
                "emissary-crds", charts["emissary-crds"], namespace, {"emissary": {"namespace": namespace}}
            )
            self._release(
                "emissary-ingress", charts["emissary-ingress"], namespace, emissary_values(), after=[definitions]
            )
        self.register_outputs({})

    def _release(
        self,
        name: str,
        chart: Chart,
        namespace: str,
        values: Mapping[str, Any],
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> pulumi.Resource:
        # Only here: importing it costs a second, and most stacks expect a platform that is there.
        from pulumi_kubernetes.helm.v3 import Release

        release: pulumi.Resource = Release(
            name,
            chart=chart.address,
            version=chart.version,
            name=name,
            namespace=namespace,
            create_namespace=True,
            values=dict(values),
            # Half a release is worse than none: what does not become ready is taken back.
            atomic=True,
            skip_await=False,
            timeout=PATIENCE_SECONDS,
            opts=self.child(after=after),
        )
        return release


def load_charts(root: Path) -> dict[str, Chart]:
    """Read the pinned charts from versions.toml.

    Args:
        root: the checkout.
    """
    pinned = tomllib.loads((root / "versions.toml").read_text(encoding="utf-8"))["charts"]
    return {name: Chart(str(entry["address"]), str(entry["version"])) for name, entry in pinned.items()}


def cert_manager_values(*, gateway_api: bool) -> dict[str, Any]:
    """Build cert-manager's values: its definitions, two controllers, and Gateway API where challenges come that way.

    https://cert-manager.io/docs/installation/best-practice/
    """
    budget = {"enabled": True, "minAvailable": 1}
    values: dict[str, Any] = {
        "crds": {"enabled": True, "keep": True},
        "replicaCount": 2,
        "podDisruptionBudget": budget,
        "webhook": {"replicaCount": 2, "podDisruptionBudget": budget},
    }
    if gateway_api:
        values["config"] = {
            "apiVersion": "controller.config.cert-manager.io/v1alpha1",
            "kind": "ControllerConfiguration",
            "gatewayAPI": {"enabled": True},
        }
    return values


def emissary_values() -> dict[str, Any]:
    """Build Emissary's values; its Listeners are ours, so its chart makes none."""
    return {
        "replicaCount": 3,
        "createDefaultListeners": False,
        "podDisruptionBudget": {"maxUnavailable": 1},
    }
