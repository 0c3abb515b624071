"""Close the network between pods, and open exactly what the deployment needs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pulumi

from infra.builders.labels import selector
from infra.builders.network import ANYWHERE, INTERNET, METADATA_NETWORK, Flow, Peer, default_deny, network_policy
from infra.bus import nats_places
from infra.catalogue import (
    APPLICATIONS,
    AUTH,
    CALLS,
    CHAT,
    DNS_NAMESPACE,
    GATEWAY,
    GATEWAY_NAMESPACE,
    NAMESPACE,
    NOTIFICATIONS,
    POSTGRES_PORT,
    SOLVER_LABELS,
    SOLVER_PORT,
    WEB_PORT,
    WEB_TLS_PORT,
    Application,
)
from infra.component import Component
from infra.config import StackConfig
from infra.names import namespace_of

HTTP = 80
HTTPS = 443
# Anywhere but the cloud's own metadata.
OUTSIDE = Peer(network="0.0.0.0/0", without=[METADATA_NETWORK])


class NetworkPolicies(Component):
    """Place the application's policies; they come before any pod does."""

    def __init__(self, name: str, config: StackConfig, opts: pulumi.ResourceOptions) -> None:
        super().__init__("NetworkPolicies", name, opts)
        for policy in application_policies(config):
            self.place(policy)
        self.register_outputs({})


def application_policies(config: StackConfig) -> list[dict[str, Any]]:
    """Build every policy of the application's namespace."""
    policies = [default_deny(NAMESPACE, DNS_NAMESPACE)]
    policies += [_service_policy(application, config) for application in APPLICATIONS]
    if config.hosted is None:
        policies += [_database_policy(application) for application in APPLICATIONS]
    elif config.gateway.kind == "ambassador":
        policies.append(solver_policy(NAMESPACE, _gateway(config)))
    return policies


def gateway_policies(config: StackConfig) -> list[dict[str, Any]]:
    """Build every policy of the gateway's own namespace."""
    backends = [Flow(Peer(name=app.name, namespace=NAMESPACE), [app.public_port]) for app in APPLICATIONS]
    # The API server is wherever the cluster has it, and a policy sees its real port, not the Service's.
    egress = [*backends, Flow(ANYWHERE, [HTTPS, 6443])]
    ingress = [Flow(ANYWHERE, [WEB_PORT])]
    # Names are unique in the engine's state, so these differ from those of the application's namespace.
    policies = [default_deny(GATEWAY_NAMESPACE, DNS_NAMESPACE, name="gateway-default-deny")]
    if config.hosted is not None:
        ingress.append(Flow(ANYWHERE, [WEB_TLS_PORT]))
        egress.append(Flow(Peer(match=SOLVER_LABELS), [SOLVER_PORT]))
        policies.append(solver_policy(GATEWAY_NAMESPACE, _gateway(config)))
    policies.append(network_policy(GATEWAY, GATEWAY_NAMESPACE, selector(GATEWAY), ingress=ingress, egress=egress))
    return policies


def solver_policy(namespace: str, gateway: Peer) -> dict[str, Any]:
    """Build the policy that lets an ACME challenge through to cert-manager's short-lived solver pods."""
    flow = Flow(gateway, [SOLVER_PORT])
    return network_policy("acme-solver", namespace, SOLVER_LABELS, ingress=[flow])


def _service_policy(application: Application, config: StackConfig) -> dict[str, Any]:
    ingress = [Flow(_gateway(config), [application.public_port])]
    ingress += [Flow(Peer(name=call.caller.name), [call.port]) for call in CALLS if call.callee == application]
    watched = config.observability
    # A managed cluster's Prometheus may be let in before the rest of it is wanted.
    if config.hosted is not None or watched.kind != "off":
        ingress.append(Flow(Peer(namespace=watched.namespace), [application.internal_port]))
    egress = _database_flows(application, config)
    if config.otlp_endpoint:
        egress.append(_collector_flow(config.otlp_endpoint))
    if application == CHAT:
        egress += _bus_flows(config)
    egress += [Flow(Peer(name=call.callee.name), [call.port]) for call in CALLS if call.caller == application]
    # Google's keys for auth, pushes for notifications.
    if (application == AUTH and "google" in config.login) or (application == NOTIFICATIONS and config.push == "fcm"):
        egress.append(Flow(INTERNET, [HTTPS]))
    return network_policy(application.name, NAMESPACE, selector(application.name), ingress=ingress, egress=egress)


def _database_flows(application: Application, config: StackConfig) -> list[Flow]:
    if config.hosted is None:
        return [Flow(Peer(name=application.database), [POSTGRES_PORT])]
    # A hosted database is somewhere in the cloud's private networks or beyond; its port is all that stands still.
    urls = [config.hosted.databases[application.key]]
    # Whoever migrates may go past a pooler.
    urls += [url for key, url in config.hosted.migrate_databases.items() if key == application.key]
    # And so may whoever listens for the other pods.
    if application == CHAT and config.bus.kind == "postgres" and config.bus.url is not None:
        urls.append(config.bus.url)
    ports = {POSTGRES_PORT if url.sealed else urlsplit(url.reveal()).port or POSTGRES_PORT for url in urls}
    return [Flow(OUTSIDE, sorted(ports))]


def _bus_flows(config: StackConfig) -> list[Flow]:
    """Let chat out to its NATS: to the namespaces that its servers' names have, or to wherever outside they are."""
    places = {(place.namespace, place.port) for place in nats_places(config.bus)}
    return [Flow(Peer(namespace=namespace) if namespace else OUTSIDE, [port]) for namespace, port in sorted(places)]


def _collector_flow(endpoint: str) -> Flow:
    """Let traces out: to the namespace that the collector's name has, or to wherever outside the cluster it is."""
    parts = urlsplit(endpoint)
    namespace = namespace_of(parts.hostname or "")
    port = parts.port or (HTTPS if parts.scheme == "https" else HTTP)
    return Flow(Peer(namespace=namespace) if namespace else OUTSIDE, [port])


def _database_policy(application: Application) -> dict[str, Any]:
    client = Flow(Peer(name=application.name), [POSTGRES_PORT])
    return network_policy(application.database, NAMESPACE, selector(application.database), ingress=[client])


def _gateway(config: StackConfig) -> Peer:
    if config.gateway.kind == "ambassador":
        return Peer(namespace=config.gateway.ambassador_namespace)
    return Peer(name=GATEWAY, namespace=GATEWAY_NAMESPACE)
