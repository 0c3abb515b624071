"""Build Gateway API's objects: the class, the gateway, and the routes with their prefixes taken off."""

from __future__ import annotations

from typing import Any

from infra.builders.labels import PART_OF, labels
from infra.catalogue import (
    APPLICATIONS,
    AUTH,
    GATEWAY,
    GATEWAY_NAMESPACE,
    NAMESPACE,
    PAGE_FILES,
    PAGE_PATH,
    TLS_SECRET,
    WEB_PORT,
    WEB_TLS_PORT,
    Application,
)
from infra.config import StackConfig

Json = dict[str, Any]

GROUP = "gateway.networking.k8s.io"
API_VERSION = f"{GROUP}/v1"
CLASS = "stampchat"
CONTROLLER = "traefik.io/gateway-controller"


def gateway_class() -> Json:
    """Build the class that says which controller serves our Gateway."""
    metadata = {"name": CLASS, "labels": labels(CLASS, "gateway")}
    return {
        "apiVersion": API_VERSION,
        "kind": "GatewayClass",
        "metadata": metadata,
        "spec": {"controllerName": CONTROLLER},
    }


def gateway(config: StackConfig) -> Json:
    """Build the Gateway; with a certificate it listens for TLS too."""
    metadata: Json = {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE, "labels": labels(GATEWAY, "gateway")}
    listeners = [_listener("web", WEB_PORT, "HTTP", config)]
    if config.hosted is None:
        metadata["annotations"] = {"pulumi.com/waitFor": "condition=Programmed"}
    else:
        # Not waited for: it is whole only when the certificate is there, which needs the gateway for its challenge.
        tls = {"mode": "Terminate", "certificateRefs": [{"kind": "Secret", "name": TLS_SECRET}]}
        listeners.append({**_listener("websecure", WEB_TLS_PORT, "HTTPS", config), "tls": tls})
    return {
        "apiVersion": API_VERSION,
        "kind": "Gateway",
        "metadata": metadata,
        "spec": {"gatewayClassName": CLASS, "listeners": listeners},
    }


def application_route(config: StackConfig) -> Json:
    """Build the one route of the public ports; what matches no rule of it is a 404, and no rule names another port."""
    section = "web" if config.hosted is None else "websecure"
    return _route("stampchat", section, config, [*map(_rule, APPLICATIONS), *_page(config)])


def redirect_route(config: StackConfig) -> Json:
    """Build the route that sends clear requests to https; a challenge's exact path is stronger than this one."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "port": 443, "statusCode": 301}}
    return _route("stampchat-redirect", "web", config, [{"filters": [redirect]}])


def _listener(name: str, port: int, protocol: str, config: StackConfig) -> Json:
    ours = {"matchLabels": {"app.kubernetes.io/part-of": PART_OF}}
    built: Json = {
        "name": name,
        "port": port,
        "protocol": protocol,
        "allowedRoutes": {"namespaces": {"from": "Selector", "selector": ours}},
    }
    if config.hosted is not None:
        built["hostname"] = config.hosted.hostname
    return built


def _route(name: str, section: str, config: StackConfig, rules: list[Json]) -> Json:
    parent = {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE, "sectionName": section}
    spec: Json = {"parentRefs": [parent], "rules": rules}
    if config.hosted is not None:
        spec["hostnames"] = [config.hosted.hostname]
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels(name, "gateway")}
    return {"apiVersion": API_VERSION, "kind": "HTTPRoute", "metadata": metadata, "spec": spec}


def _page(config: StackConfig) -> list[Json]:
    """Build the rule of the page: its document alone, and its files; without a page no route names it."""
    if config.web is None:
        return []
    document = {"path": {"type": "Exact", "value": PAGE_PATH}}
    files = {"path": {"type": "PathPrefix", "value": PAGE_FILES.rstrip("/")}}
    return [{"matches": [document, files], "backendRefs": [{"name": AUTH.name, "port": AUTH.public_port}]}]


def _rule(application: Application) -> Json:
    strip = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": application.prefix.rstrip("/")}}],
        "filters": [{"type": "URLRewrite", "urlRewrite": {"path": strip}}],
        "backendRefs": [{"name": application.name, "port": application.public_port}],
    }
