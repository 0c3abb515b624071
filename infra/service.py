"""Run one of the three services: migrate its database, serve, and be replaced without losing a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.applications import GRACE_SECONDS, migrate_mounts, migrate_settings, mounted_sources, mounts, settings
from infra.builders.container import ContainerSpec
from infra.builders.labels import labels
from infra.builders.objects import Port, Rollout, deployment, disruption_budget, service, service_account
from infra.builders.pod import PodSpec
from infra.builders.probes import http_probes
from infra.catalogue import CHAT, NAMESPACE, Application
from infra.component import Component
from infra.config import StackConfig
from infra.pull_secret import pull_secret_name
from infra.sizes import HOSTED_SERVICE, SERVICE

# Long enough for the gateway to have seen that a pod is leaving.
STOP_DELAY = 5
# The series of open sockets, as chat's /metrics names it.
SOCKETS_METRIC = "stampchat_sockets"
Checksums = Mapping[str, pulumi.Input[str]]


class Service(Component):
    """Run one service: its Deployment, its Service, and on a managed cluster its autoscaler and disruption budget.

    Args:
        application: which one.
        config: the stack's.
        image: of the services, by digest.
        checksums: of everything that pods may mount, by name.
        opts: the cluster's provider, and what comes first.
    """

    def __init__(
        self,
        application: Application,
        config: StackConfig,
        image: str,
        checksums: Checksums,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("Service", application.name, opts)
        name = application.name
        hosted = config.hosted is not None
        account = self.place(service_account(name, NAMESPACE, "service"))
        spec = service_pod(application, config, image, checksums)
        # An autoscaler owns the count; a number here would undo its work at every update.
        rollout = Rollout(replicas=None if hosted else config.replicas)
        workload = self.place(deployment(spec, NAMESPACE, rollout), after=[account])
        self.place(service(name, NAMESPACE, "service", service_ports(application)))
        if hosted:
            self.place(autoscaler(application, config), after=[workload])
            self.place(disruption_budget(name, NAMESPACE, "service"))
        self.register_outputs({"address": f"{name}:{application.public_port}"})


def service_ports(application: Application) -> dict[str, Port]:
    """List a service's ports; the gateway is told of the websocket, which it would otherwise not have to upgrade."""
    websocket = "kubernetes.io/ws" if application == CHAT else ""
    return {
        "public": Port(application.public_port, "public", app_protocol=websocket),
        "internal": Port(application.internal_port, "internal"),
    }


def service_pod(application: Application, config: StackConfig, image: str, checksums: Checksums) -> PodSpec:
    """Describe a service's pod: the same image migrates first and then serves."""
    hosted = config.hosted is not None
    size = HOSTED_SERVICE if hosted else SERVICE
    env = settings(application, config)
    mounted = mounts(application, config)
    serve = ContainerSpec(
        name=application.key,
        image=image,
        size=size,
        args=[application.module],
        env=env,
        ports={"public": application.public_port, "internal": application.internal_port},
        mounts=mounted,
        probes=http_probes("internal", live="/livez", ready="/readyz"),
        stop_delay=STOP_DELAY,
    )
    migrate = ContainerSpec(
        name="migrate",
        image=image,
        size=size,
        args=[application.module, "migrate"],
        env={**env, **migrate_settings(application, config)},
        mounts=[*mounted, *migrate_mounts(application, config)],
    )
    return PodSpec(
        name=application.name,
        component="service",
        containers=[serve],
        init_containers=[migrate],
        checksums={name: checksums[name] for name in mounted_sources(application, config)},
        grace_seconds=STOP_DELAY + GRACE_SECONDS + 10,
        spread=hosted,
        pull_secret=pull_secret_name(config),
    )


def autoscaler(application: Application, config: StackConfig) -> dict[str, Any]:
    """Build an autoscaler that grows at once and shrinks slowly, since a pod that goes takes its sockets along.

    Idle sockets cost memory and no processor, so chat may be scaled by their number as well, where the cluster has the
    custom-metrics API. Whichever metric wants more pods wins.
    """
    name = application.name
    utilisation = {"type": "Utilization", "averageUtilization": 70}
    metrics: list[dict[str, Any]] = [{"type": "Resource", "resource": {"name": "cpu", "target": utilisation}}]
    sockets = config.hosted.sockets_per_pod if config.hosted is not None else None
    if application == CHAT and sockets is not None:
        target = {"type": "AverageValue", "averageValue": str(sockets)}
        metrics.append({"type": "Pods", "pods": {"metric": {"name": SOCKETS_METRIC}, "target": target}})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels(name, "service")},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": config.replicas,
            "maxReplicas": config.max_replicas,
            "metrics": metrics,
            "behavior": {
                "scaleDown": {
                    "stabilizationWindowSeconds": 600,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
                }
            },
        },
    }
