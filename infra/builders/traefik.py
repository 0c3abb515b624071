"""Build Traefik's static configuration and the rights it needs to serve Gateway API."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from infra.builders.labels import labels
from infra.catalogue import GATEWAY, GATEWAY_HEALTH_PORT, GATEWAY_NAMESPACE, NAMESPACE, WEB_PORT, WEB_TLS_PORT
from infra.config import StackConfig

Json = dict[str, Any]

# Seconds for requests in flight after the signal to stop.
DRAIN_SECONDS = 20
# Of the characters that a path may hold percent-encoded, as Traefik's options name them.
REFUSED_CHARACTERS = ("slash", "backslash", "nullcharacter")
_GROUP = "gateway.networking.k8s.io"
_ROUTES = ["gateways", "httproutes", "grpcroutes", "tlsroutes", "referencegrants", "backendtlspolicies"]


def traefik_args(config: StackConfig) -> list[str]:
    """Build Traefik's arguments.

    A client's address: Traefik drops every X-Forwarded-For that it is sent, since no network is trusted to send one,
    and writes its own from the connection, or from the PROXY header where the network is trusted to send that. So the
    services trust exactly one hop. An upgraded websocket is out of reach of the entry point's time-outs.
    """
    args = [
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=WARN",
        "--log.nocolor=true",
        "--ping=true",
        "--ping.entrypoint=health",
        f"--entrypoints.health.address=:{GATEWAY_HEALTH_PORT}",
        "--entrypoints.health.http.aliasheadersstrategy=delete",
        *_entry_point("web", WEB_PORT, config),
        "--providers.kubernetesgateway=true",
        f"--providers.kubernetesgateway.namespaces={NAMESPACE},{GATEWAY_NAMESPACE}",
        "--providers.providersthrottleduration=500ms",
        *_status_address(config),
    ]
    return args if config.hosted is None else [*args, *_entry_point("websecure", WEB_TLS_PORT, config)]


def _entry_point(name: str, port: int, config: StackConfig) -> list[str]:
    point = f"--entrypoints.{name}"
    args = [
        f"{point}.address=:{port}",
        # X_Forwarded_For is X-Forwarded-For to some servers: not to ours, and better not to any.
        f"{point}.http.aliasheadersstrategy=delete",
        # What is a slash to one reader of a path and a letter to another (..%2F) is refused: no path of ours has any.
        *(f"{point}.http.encodedcharacters.allowencoded{name}=false" for name in REFUSED_CHARACTERS),
        # The whole request has to arrive within this; then an idle connection is kept for the next one.
        f"{point}.transport.respondingtimeouts.readtimeout=60s",
        f"{point}.transport.respondingtimeouts.idletimeout=180s",
        f"{point}.transport.lifecycle.gracetimeout={DRAIN_SECONDS}s",
    ]
    if config.gateway.proxy_protocol_from:
        args.append(f"{point}.proxyprotocol.trustedips={','.join(config.gateway.proxy_protocol_from)}")
    return args


def _status_address(config: StackConfig) -> list[str]:
    status = "--providers.kubernetesgateway.statusaddress"
    if config.hosted is not None:
        return [f"{status}.service.namespace={GATEWAY_NAMESPACE}", f"{status}.service.name={GATEWAY}"]
    host = urlsplit(config.url).hostname or "localhost"
    return [f"{status}.{'ip' if host.replace('.', '').isdigit() else 'hostname'}={host}"]


def cluster_rights() -> list[Json]:
    """Build the rights that belong to no namespace: to read GatewayClasses and namespaces, and to write a status."""
    rules = [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [_GROUP], "resources": ["gatewayclasses"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [_GROUP], "resources": ["gatewayclasses/status"], "verbs": ["update"]},
    ]
    return _rights("Cluster", "stampchat-gateway", "", rules)


def namespace_rights(namespace: str) -> list[Json]:
    """Build the rights within one of the two namespaces that Traefik watches, and no other.

    It asks for Secrets wherever it watches and does not start without, though only TLS certificates are of use to it.
    """
    rules = [
        {"apiGroups": [""], "resources": ["services", "configmaps", "secrets"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [_GROUP], "resources": _ROUTES, "verbs": ["get", "list", "watch"]},
        {"apiGroups": [_GROUP], "resources": [f"{route}/status" for route in _ROUTES], "verbs": ["update"]},
    ]
    return _rights("", GATEWAY, namespace, rules)


def _rights(scope: str, name: str, namespace: str, rules: list[Json]) -> list[Json]:
    metadata: Json = {"name": name, "labels": labels(name, "gateway")}
    if namespace:
        metadata["namespace"] = namespace
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": GATEWAY, "namespace": GATEWAY_NAMESPACE}
    role = {"apiVersion": f"{group}/v1", "kind": f"{scope}Role", "metadata": metadata}
    return [
        {**role, "rules": rules},
        {
            **role,
            "kind": f"{scope}RoleBinding",
            "roleRef": {"apiGroup": group, "kind": f"{scope}Role", "name": name},
            "subjects": [subject],
        },
    ]
