"""Give the cluster's prometheus-operator and its Grafana what they need to watch the deployment."""

from __future__ import annotations

import pulumi

from infra.catalogue import APPLICATIONS
from infra.component import Component
from infra.observability.config import ObservabilityConfig
from infra.observability.objects import certificate_monitor, dashboard_map, pod_monitor, prometheus_rule


class Observability(Component):
    """Place a PodMonitor for each service, one for the certificate, the rules, and the dashboard.

    Args:
        name: in the engine's state.
        config: who watches.
        opts: the cluster's provider, and what comes first.
        certificate: whether the stack has one.
    """

    def __init__(
        self, name: str, config: ObservabilityConfig, opts: pulumi.ResourceOptions, *, certificate: bool
    ) -> None:
        super().__init__("Observability", name, opts)
        # Only here: the SDK takes a moment to import, and most previews have no use for it.
        from infra.observability.dashboard import build_dashboard

        for application in APPLICATIONS:
            self.place(pod_monitor(application, config))
        if certificate:
            self.place(certificate_monitor(config))
        self.place(prometheus_rule(config, certificate=certificate))
        self.place(dashboard_map(build_dashboard()))
        self.register_outputs({})
