"""Read Emissary's objects as Emissary 4 does, and write the Envoy configuration that they come to.

A stand-in, and named so: Emissary itself can be had neither as a package nor as an image here. It was held against what
Emissary's own translation (its main branch of August 2026, after 4.1) makes of the very same objects: the same
listeners, routes, order, rewrites, time-outs and upgrades (its envoy/v3/v3listener.py and v3route.py), and this suite
passed with either. Emissary's diagnostics (/ambassador/v0/) are left out: they are no object of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.catalogue import ACME_PATH

Json = dict[str, Any]

_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_TLS_INSPECTOR = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
_VERSIONS = {"v1.2": "TLSv1_2", "v1.3": "TLSv1_3"}
# Emissary's own, where a Mapping says nothing.
_TIMEOUT_MS = 3000


def envoy_config(
    objects: Iterable[Json], *, ports: Mapping[int, int], backends: Mapping[str, int], certificate: tuple[Path, Path]
) -> Json:
    """Write Envoy's whole configuration.

    Args:
        objects: the Listeners, the Host and the Mappings.
        ports: the port of this machine on which each Listener's port is to be found.
        backends: the port of this machine that stands in for each service ("stamp-chat-auth.stampchat:3000").
        certificate: the files that the Host's Secret would hold: certificate and key.
    """
    by_kind: dict[str, list[Json]] = {}
    for item in objects:
        by_kind.setdefault(item["kind"], []).append(item["spec"])
    (host,) = by_kind["Host"]
    # The longest prefix first.
    mappings = sorted(by_kind["Mapping"], key=lambda mapping: len(mapping["prefix"]), reverse=True)
    routes = [route for mapping in mappings for route in _routes(mapping, host)]
    listeners = [_listener(spec, host, routes, ports, certificate) for spec in by_kind["Listener"]]
    clusters = [_cluster(service, port) for service, port in backends.items()]
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


def _listener(
    spec: Json, host: Json, routes: list[Json], ports: Mapping[int, int], certificate: tuple[Path, Path]
) -> Json:
    manager: Json = {
        "@type": _HTTP,
        "stat_prefix": "ingress",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
        "normalize_path": True,
        "use_remote_address": True,
        "http_protocol_options": {"accept_http_10": False},
        "route_config": {"virtual_hosts": [{"name": "host", "domains": [host["hostname"]], "routes": routes}]},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    chains: list[Json] = [{"filters": filters}]
    if spec["protocol"] == "HTTPS":
        match = {"server_names": [host["hostname"]], "transport_protocol": "tls"}
        chains.insert(0, {"filter_chain_match": match, "filters": filters, "transport_socket": _tls(host, certificate)})
    inspector = {"name": "envoy.filters.listener.tls_inspector", "typed_config": {"@type": _TLS_INSPECTOR}}
    return {
        "name": str(spec["port"]),
        "address": _address(ports[spec["port"]]),
        "listener_filters": [inspector] if spec["protocol"] == "HTTPS" else [],
        "filter_chains": chains,
    }


def _tls(host: Json, certificate: tuple[Path, Path]) -> Json:
    chain, key = certificate
    common = {
        "tls_certificates": [{"certificate_chain": {"filename": str(chain)}, "private_key": {"filename": str(key)}}],
        "alpn_protocols": [host["tls"]["alpn_protocols"]],
        "tls_params": {"tls_minimum_protocol_version": _VERSIONS[host["tls"]["min_tls_version"]]},
    }
    return {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": _TLS, "common_tls_context": common}}


def _routes(mapping: Json, host: Json) -> list[Json]:
    """Write a Mapping's route for what came by https, and send the rest there; a challenge alone stays in clear."""
    assert host["requestPolicy"]["insecure"]["action"] == "Redirect"
    named = {"name": ":authority", "string_match": {"exact": mapping["hostname"]}}
    secure = {"name": "x-forwarded-proto", "string_match": {"exact": "https"}}
    action: Json = {
        "cluster": urlsplit(mapping["service"]).netloc,
        "timeout": _seconds(mapping.get("timeout_ms", _TIMEOUT_MS)),
    }
    # The prefix is replaced by "/" where nothing is said, and stays where the rewrite is empty.
    if rewrite := mapping.get("rewrite", "/"):
        action["prefix_rewrite"] = rewrite
    if "idle_timeout_ms" in mapping:
        action["idle_timeout"] = _seconds(mapping["idle_timeout_ms"])
    if upgrades := mapping.get("allow_upgrade"):
        action["upgrade_configs"] = [{"upgrade_type": upgrade} for upgrade in upgrades]
    otherwise: Json = {"route": action} if mapping["prefix"] == ACME_PATH else {"redirect": {"https_redirect": True}}
    place = {"path" if mapping.get("prefix_exact") else "prefix": mapping["prefix"]}
    return [
        {"match": {**place, "headers": [named, secure]}, "route": action},
        {"match": {**place, "headers": [named]}, **otherwise},
    ]


def _cluster(service: str, port: int) -> Json:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    return {
        "name": service,
        "type": "STATIC",
        "connect_timeout": "3s",
        "load_assignment": {"cluster_name": service, "endpoints": endpoints},
    }


def _address(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}s"
