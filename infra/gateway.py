"""Let requests in by Gateway API, on a Traefik of our own in a namespace of its own."""

from __future__ import annotations

from typing import Any

import pulumi

from infra.builders.container import ContainerSpec
from infra.builders.objects import (
    Port,
    Rollout,
    deployment,
    disruption_budget,
    namespace,
    registry_secret,
    service,
    service_account,
)
from infra.builders.pod import PodSpec
from infra.builders.probes import proxy_probes
from infra.builders.routes import application_route, gateway, gateway_class, redirect_route
from infra.builders.traefik import DRAIN_SECONDS, cluster_rights, namespace_rights, traefik_args
from infra.builders.volumes import scratch_mount
from infra.catalogue import (
    GATEWAY,
    GATEWAY_HEALTH_PORT,
    GATEWAY_NAMESPACE,
    NAMESPACE,
    PULL_SECRET,
    WEB_PORT,
    WEB_TLS_PORT,
)
from infra.component import Component
from infra.config import StackConfig
from infra.manifest import Manifest
from infra.network_policy import gateway_policies
from infra.pull_secret import pull_secret_name
from infra.sizes import GATEWAY as SIZE

STOP_DELAY = 5
# Seconds from a start to having read all routes, generously.
READ_SECONDS = 3


class Gateway(Component):
    """Run Traefik, and give it a Gateway and the routes.

    Args:
        name: in the engine's state.
        config: the stack's.
        image: Traefik, by digest.
        opts: the cluster's provider, and what comes first.

    Attributes:
        service: the Service that the outside reaches.
    """

    service: Manifest

    def __init__(self, name: str, config: StackConfig, image: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("Gateway", name, opts)
        home = self.place(namespace(GATEWAY_NAMESPACE))
        policies = [self.place(policy, after=[home]) for policy in gateway_policies(config)]
        account = self.place(service_account(GATEWAY, GATEWAY_NAMESPACE, "gateway"), after=[home])
        rights = self._place_rights(home)
        if config.hosted is not None and config.hosted.image_pull_secret is not None:
            # A pod reads it from its own namespace.
            shown = pulumi.Output.secret(config.hosted.image_pull_secret.reveal())
            rights.append(self.place(registry_secret(PULL_SECRET, GATEWAY_NAMESPACE, shown), after=[home]))
        controller = self.place(
            deployment(gateway_pod(config, image), GATEWAY_NAMESPACE, Rollout(replicas=config.replicas)),
            after=[*policies, account, *rights],
        )
        if config.hosted is not None:
            self.place(disruption_budget(GATEWAY, GATEWAY_NAMESPACE, "gateway"), after=[home])
        self.service = self.place(gateway_service(config), after=[home])
        kind = self.place(gateway_class(), after=[controller])
        entry = self.place(gateway(config), after=[kind])
        routes = [application_route(config)]
        if config.hosted is not None:
            routes.append(redirect_route(config))
        for route in routes:
            self.place(route, after=[entry])
        self.register_outputs({"url": config.url})

    def _place_rights(self, home: Manifest) -> list[Manifest]:
        placed = [self.place(right, after=[home]) for right in cluster_rights()]
        for watched in (NAMESPACE, GATEWAY_NAMESPACE):
            # The two differ by namespace alone, which is no part of a name in the engine's state.
            placed += [self.place(right, name=f"{watched}-reader", after=[home]) for right in namespace_rights(watched)]
        return placed


def gateway_pod(config: StackConfig, image: str) -> PodSpec:
    """Describe the gateway's pod."""
    ports = {"web": WEB_PORT, "health": GATEWAY_HEALTH_PORT}
    if config.hosted is not None:
        ports["websecure"] = WEB_TLS_PORT
    traefik = ContainerSpec(
        name="traefik",
        image=image,
        size=SIZE,
        args=traefik_args(config),
        ports=ports,
        mounts=[scratch_mount("tmp", "/tmp")],  # noqa: S108  # the container's own
        probes=proxy_probes("health", "web", live="/ping", wait=READ_SECONDS),
        stop_delay=STOP_DELAY,
    )
    return PodSpec(
        name=GATEWAY,
        component="gateway",
        containers=[traefik],
        grace_seconds=STOP_DELAY + DRAIN_SECONDS + 10,
        spread=config.hosted is not None,
        use_api=True,
        pull_secret=pull_secret_name(config),
    )


def gateway_service(config: StackConfig) -> dict[str, Any]:
    """Build the way in: a port of the node in dev, a load balancer on a managed cluster.

    Traffic stays on the node that it reached, so that Traefik sees who connects, and believes a PROXY header only from
    where a forwarder really is. The other policy would put the address of any node there.
    """
    local = {"externalTrafficPolicy": "Local"}
    if config.hosted is None:
        web = Port(80, "web", node_port=config.gateway.node_port)
        return service(GATEWAY, GATEWAY_NAMESPACE, "gateway", {"web": web}, kind="NodePort", extra=local)
    ports = {"web": Port(80, "web"), "websecure": Port(443, "websecure")}
    return service(GATEWAY, GATEWAY_NAMESPACE, "gateway", ports, kind="LoadBalancer", extra=local)
