"""Compose what every place has: from the namespace to the three services, in the original's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from infra.catalogue import APPLICATIONS, AUTH, CHAT, NAMESPACE, NOTIFICATIONS
from infra.cluster import connect
from infra.config import StackConfig
from infra.database import Database
from infra.images import Images
from infra.namespace import Namespace
from infra.network_policy import NetworkPolicies
from infra.observability.component import Observability
from infra.secrets import Secrets
from infra.service import Service


@dataclass(frozen=True)
class Application:
    """Hand on what is deployed.

    Attributes:
        provider: the cluster.
        last: the service that comes last, which the gateway waits for.
    """

    provider: pulumi.ProviderResource
    last: Service

    def after(self, *components: pulumi.Resource) -> pulumi.ResourceOptions:
        """Build the options of what comes after some components."""
        return options(self.provider, components)


def deploy_application(config: StackConfig, images: Images, root: Path) -> Application:
    """Deploy namespace, policies, secrets, databases, and the services one after the other.

    Any order would converge, since services find each other by name and wait in readiness. This one is readable, and
    stops at the first thing that fails.
    """
    provider = connect(config.cluster, root)
    # Whoever destroys stack dev wants its messages gone; prod's have no other copy in the cluster's reach.
    namespace = Namespace(NAMESPACE, options(provider), protect=config.hosted is not None)
    policies = NetworkPolicies("network", config, options(provider, [namespace]))
    secrets = Secrets("secrets", config, options(provider, [namespace]))
    last: list[pulumi.Resource] = [secrets, policies]
    if config.hosted is None:
        first = options(provider, last)
        last = [
            Database(application, images.postgres, secrets.checksums[application.database_secret], first)
            for application in APPLICATIONS
        ]
    for application in (NOTIFICATIONS, CHAT, AUTH):
        service = Service(application, config, images.services, secrets.checksums, options(provider, last))
        last = [service]
    if config.observability.kind == "prometheus-operator":
        first = options(provider, last)
        Observability("observability", config.observability, first, certificate=config.hosted is not None)
    return Application(provider, service)


def options(provider: pulumi.ProviderResource, after: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
    """Build a component's options: the cluster, and what comes first."""
    return pulumi.ResourceOptions(providers=[provider], depends_on=list(after))
