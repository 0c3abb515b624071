"""Build cert-manager's objects, with fields that its releases from 1.11 on share."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from infra.builders.labels import labels
from infra.builders.routes import GROUP
from infra.catalogue import GATEWAY, GATEWAY_NAMESPACE, TLS_SECRET
from infra.config import AcmeConfig, GatewayKind

Json = dict[str, Any]

API_VERSION = "cert-manager.io/v1"
ISSUER = "stampchat"
# The staging service has generous limits and signs with a root that nobody trusts: for the first tries.
SERVERS = {
    "staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
    "production": "https://acme-v02.api.letsencrypt.org/directory",
}
# Left to itself cert-manager opens a port on every node for each challenge; the gateway reaches the pod without.
INSIDE = {"serviceType": "ClusterIP"}
WAIT_READY = {"pulumi.com/waitFor": "condition=Ready"}


def cluster_issuer(acme: AcmeConfig, gateway: GatewayKind) -> Json:
    """Build the issuer that proves our control of the name over HTTP."""
    authority = {"caBundle": base64.b64encode(acme.ca_bundle.encode()).decode()} if acme.ca_bundle else {}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterIssuer",
        "metadata": {"name": ISSUER, "labels": labels(ISSUER, "tls"), "annotations": WAIT_READY},
        "spec": {
            "acme": {
                "server": SERVERS.get(acme.server, acme.server),
                **authority,
                "email": acme.email,
                # An account of each service: the key of one is unknown to the other.
                "privateKeySecretRef": {"name": f"stampchat-acme-{_account(acme.server)}"},
                "solvers": [{"http01": _solver(gateway)}],
            }
        },
    }


def certificate(hostname: str, namespace: str) -> Json:
    """Build the certificate of our one host."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "metadata": {
            "name": TLS_SECRET,
            "namespace": namespace,
            "labels": labels(TLS_SECRET, "tls"),
            "annotations": WAIT_READY,
        },
        "spec": {
            "secretName": TLS_SECRET,
            "dnsNames": [hostname],
            "issuerRef": {"name": ISSUER, "kind": "ClusterIssuer", "group": "cert-manager.io"},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        },
    }


def _account(server: str) -> str:
    return server if server in SERVERS else hashlib.sha256(server.encode()).hexdigest()[:8]


def _solver(gateway: GatewayKind) -> Json:
    if gateway == "gateway-api":
        parent = {
            "group": GROUP,
            "kind": "Gateway",
            "name": GATEWAY,
            "namespace": GATEWAY_NAMESPACE,
            "sectionName": "web",
        }
        return {"gatewayHTTPRoute": {"parentRefs": [parent], **INSIDE}}
    # Emissary takes the challenge by a fixed Mapping. A class that nobody serves keeps every other controller off.
    return {"ingress": {"class": "stampchat-acme", **INSIDE}}
