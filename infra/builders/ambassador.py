"""Build Emissary-ingress 4's objects (`getambassador.io/v3alpha1`), as plain mappings."""

from __future__ import annotations

from typing import Any

from infra.builders.labels import labels
from infra.catalogue import (
    ACME_PATH,
    AUTH,
    CHAT,
    NAMESPACE,
    PAGE_FILES,
    PAGE_PATH,
    SOLVER_LABELS,
    SOLVER_PORT,
    TLS_SECRET,
    Application,
)

Json = dict[str, Any]

API_VERSION = "getambassador.io/v3alpha1"
ACME_SERVICE = "acme-http01-solver"
REST_TIMEOUT_MS = 15_000
# Over twice the client's heartbeat of 30 s; the chat service itself ends a socket that is silent for 60 s.
SOCKET_IDLE_MS = 90_000
# Where the chart's own Service sends 80 and 443.
HTTP_PORT, HTTPS_PORT = 8080, 8443


def listener(name: str, port: int, protocol: str) -> Json:
    """Build a Listener; without any, Emissary serves nothing.

    Clients come straight from a load balancer of layer 4, so XFP (X-Forwarded-Proto) is what Emissary itself sets.
    """
    spec = {
        "port": port,
        "protocol": protocol,
        "securityModel": "XFP",
        "hostBinding": {"namespace": {"from": "SELF"}},
    }
    return _object("Listener", name, spec)


def host(name: str, hostname: str) -> Json:
    """Build the Host: our certificate, and every clear request sent to https."""
    spec = {
        "hostname": hostname,
        # cert-manager sees to the certificate.
        "acmeProvider": {"authority": "none"},
        "tlsSecret": {"name": TLS_SECRET},
        "tls": {"min_tls_version": "v1.2", "alpn_protocols": "h2,http/1.1"},
        "requestPolicy": {"insecure": {"action": "Redirect"}},
    }
    return _object("Host", name, spec)


def rest_mapping(application: Application, hostname: str) -> Json:
    """Build the Mapping of a service's REST routes: prefix off, and on to its public port."""
    spec = {
        "hostname": hostname,
        "prefix": application.prefix,
        "rewrite": "/",
        "service": _backend(application),
        "timeout_ms": REST_TIMEOUT_MS,
    }
    return _object("Mapping", application.name, spec)


def socket_mapping(hostname: str) -> Json:
    """Build the Mapping of the websocket, apart from REST: it upgrades, and no time-out ends it but silence."""
    spec = {
        "hostname": hostname,
        # The longer prefix is the stronger.
        "prefix": f"{CHAT.prefix}socket/",
        "rewrite": "/socket/",
        "service": _backend(CHAT),
        "allow_upgrade": ["websocket"],
        "timeout_ms": 0,
        "idle_timeout_ms": SOCKET_IDLE_MS,
    }
    return _object("Mapping", f"{CHAT.name}-socket", spec)


def page_mappings(hostname: str) -> list[Json]:
    """Build the Mappings of the web page: its document's path alone, and its files; neither takes anything off."""
    spec = {"hostname": hostname, "rewrite": "", "service": _backend(AUTH), "timeout_ms": REST_TIMEOUT_MS}
    document = {**spec, "prefix": PAGE_PATH, "prefix_exact": True}
    return [
        _object("Mapping", "stampchat-page", document),
        _object("Mapping", "stampchat-page-files", {**spec, "prefix": PAGE_FILES}),
    ]


def acme_mapping(hostname: str) -> Json:
    """Build the Mapping of the ACME challenge; Emissary always serves exactly this prefix in clear."""
    spec = {
        "hostname": hostname,
        "prefix": ACME_PATH,
        # An empty rewrite keeps the path.
        "rewrite": "",
        "service": f"http://{ACME_SERVICE}.{NAMESPACE}:{SOLVER_PORT}",
    }
    return _object("Mapping", ACME_SERVICE, spec)


def acme_service() -> Json:
    """Build the Service in front of whichever solver pod there is just now; most of the time there is none."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": ACME_SERVICE,
            "namespace": NAMESPACE,
            "labels": labels(ACME_SERVICE, "gateway"),
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        "spec": {
            "type": "ClusterIP",
            "selector": SOLVER_LABELS,
            "ports": [{"name": "http", "port": SOLVER_PORT, "targetPort": SOLVER_PORT, "protocol": "TCP"}],
        },
    }


def _backend(application: Application) -> str:
    return f"http://{application.name}.{NAMESPACE}:{application.public_port}"


def _object(kind: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels(name, "gateway")}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
