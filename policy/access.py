"""Judge what opens doors: rights, Services, gateways, certificates, ConfigMaps; one pure function for each rule."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policy.rule import Json, Rule

_ROLE = re.compile(r"kubernetes:rbac\.authorization\.k8s\.io/v1:(Cluster)?Role")
_BINDING = re.compile(r"kubernetes:rbac\.authorization\.k8s\.io/v1:(Cluster)?RoleBinding")
_SECRET_LIKE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|postgres(ql)?://[^:/\s]+:[^@\s]+@", re.IGNORECASE)
# The services' own; nothing outside ever names them.
INTERNAL_PORTS = frozenset({3010, 3011, 4010})
_READING = frozenset({"get", "list", "watch", "*"})


def judge_rights(resource_type: str, props: Json) -> Iterator[str]:
    """Refuse rights without bounds (wildcard-in-rules, cluster-admin-role-binding)."""
    if _ROLE.fullmatch(resource_type):
        for rule in props.get("rules") or []:
            for part in ("apiGroups", "resources", "verbs"):
                if "*" in (rule.get(part) or []):
                    yield f"a rule has * in its {part}"
    if _BINDING.fullmatch(resource_type):
        role = props.get("roleRef") or {}
        if role.get("name") in {"cluster-admin", "admin", "edit"}:
            yield f"it hands out {role.get('name')}"
        for subject in props.get("subjects") or []:
            if subject.get("name") in {"system:anonymous", "system:unauthenticated", "system:authenticated"}:
                yield f"it is for {subject.get('name')}, which is anybody"


def judge_secret_access(resource_type: str, props: Json) -> Iterator[str]:
    """Refuse the right to read Secrets (access-to-secrets)."""
    if not _ROLE.fullmatch(resource_type):
        return
    for rule in props.get("rules") or []:
        if "secrets" in (rule.get("resources") or []) and _READING & set(rule.get("verbs") or []):
            yield "it may read Secrets"


def judge_exposure(resource_type: str, props: Json) -> Iterator[str]:
    """Refuse whatever lets the outside past the gateway (exposed-services, service-type)."""
    if resource_type == "kubernetes:core/v1:Service":
        spec = props.get("spec") or {}
        if spec.get("type") in {"NodePort", "LoadBalancer"}:
            yield f"it is of type {spec.get('type')}"
        if spec.get("externalIPs"):
            yield "it takes external addresses"
    if resource_type.startswith("kubernetes:networking.k8s.io/v1:Ingress"):
        yield "it is an Ingress; routes are the gateway's"


def judge_routes(resource_type: str, props: Json) -> Iterator[str]:
    """Refuse routes to an internal port, or without a name (the wire: internal ports are in no route)."""
    spec = props.get("spec") or {}
    if resource_type == "kubernetes:getambassador.io/v3alpha1:Mapping":
        port = str(spec.get("service", "")).rpartition(":")[2]
        if port.isdigit() and int(port) in INTERNAL_PORTS:
            yield f"it leads to the internal port {port}"
        if not spec.get("hostname"):
            yield "it names no host, so it serves any"
    if resource_type == "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute":
        for rule in spec.get("rules") or []:
            for backend in rule.get("backendRefs") or []:
                if backend.get("port") in INTERNAL_PORTS:
                    yield f"it leads to the internal port {backend.get('port'):.0f}"


def judge_tls(resource_type: str, props: Json) -> Iterator[str]:
    """Ask for TLS that means something (tlsSettingsMissing): redirects, versions, an issuer over https."""
    spec = props.get("spec") or {}
    if resource_type == "kubernetes:getambassador.io/v3alpha1:Host":
        insecure = ((spec.get("requestPolicy") or {}).get("insecure") or {}).get("action")
        if insecure != "Redirect":
            yield "clear requests are not sent to https"
        if not (spec.get("tlsSecret") or {}).get("name"):
            yield "it has no certificate"
        if (spec.get("tls") or {}).get("min_tls_version") not in {"v1.2", "v1.3"}:
            yield "it takes TLS before 1.2"
    if resource_type == "kubernetes:cert-manager.io/v1:ClusterIssuer":
        acme = spec.get("acme") or {}
        if acme and not str(acme.get("server", "")).startswith("https://"):
            yield "its ACME server is not reached by https"
        if acme.get("skipTLSVerify"):
            yield "it does not verify its ACME server"


def judge_config_maps(resource_type: str, props: Json) -> Iterator[str]:
    """Refuse secrets in a ConfigMap (sensitiveConfigmapContent, configmap_with_secrets)."""
    if resource_type != "kubernetes:core/v1:ConfigMap":
        return
    for key, value in _items(props.get("data")):
        if _SECRET_LIKE.search(str(value)):
            yield f"its {key} looks like a secret"


def judge_namespaces(resource_type: str, props: Json) -> Iterator[str]:
    """Ask each namespace for Pod Security's `restricted`."""
    if resource_type != "kubernetes:core/v1:Namespace":
        return
    labels = dict(_items((props.get("metadata") or {}).get("labels")))
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "it does not enforce Pod Security's restricted level"


def _items(mapping: Any) -> list[tuple[str, Any]]:
    return list(mapping.items()) if isinstance(mapping, Mapping) else []


RULES = (
    Rule("bounded-rights", "Rights name what they are for; nobody is handed everything.", judge_rights),
    Rule("no-secret-access", "Nobody reads Secrets through the API; they are mounted.", judge_secret_access),
    Rule("one-way-in", "Requests come in by the gateway alone.", judge_exposure),
    Rule("internal-stays-internal", "No route leads to an internal port, and each names its host.", judge_routes),
    Rule("tls-everywhere", "Clear requests are redirected, and certificates come over https.", judge_tls),
    Rule("no-secret-in-config", "A ConfigMap holds no secret.", judge_config_maps),
    Rule("namespace-restricted", "A namespace refuses pods that are not restricted.", judge_namespaces),
)
