"""Traefik's arguments and rights."""

from __future__ import annotations

import json

import pytest

from infra.builders.traefik import cluster_rights, namespace_rights, traefik_args
from infra.config import validate_stack
from tests.infra.configs import DEV, PROD_GATEWAY_API


def test_nobodys_forwarded_header_is_believed() -> None:
    """So the services trust one hop: Traefik's own."""
    for config in (DEV, PROD_GATEWAY_API):
        assert not any("forwardedheaders" in arg for arg in traefik_args(validate_stack(config)))


def test_a_proxy_header_is_believed_from_the_forwarder_alone() -> None:
    """A pod that claims to be somebody else's proxy is not."""
    trusting = [arg for arg in traefik_args(validate_stack(DEV)) if "proxyprotocol" in arg]

    assert trusting == ["--entrypoints.web.proxyprotocol.trustedips=10.244.0.1/32"]
    assert not any("proxyprotocol" in arg for arg in traefik_args(validate_stack(PROD_GATEWAY_API)))


@pytest.mark.parametrize(
    ("url", "address"),
    [("http://127.0.0.1:8080", "statusaddress.ip=127.0.0.1"), ("http://laptop:8080", "statusaddress.hostname=laptop")],
)
def test_the_gateways_address_is_where_clients_reach_it(url: str, address: str) -> None:
    """Without one a Gateway has no address and says so for ever."""
    args = traefik_args(validate_stack({**DEV, "stampchat:url": url}))

    assert f"--providers.kubernetesgateway.{address}" in args


def test_nothing_phones_home() -> None:
    """No telemetry and no update check."""
    args = traefik_args(validate_stack(DEV))

    assert "--global.checknewversion=false" in args
    assert "--global.sendanonymoususage=false" in args


def test_rights_are_bound_to_the_gateways_own_account() -> None:
    """And to no group."""
    for role, binding in (cluster_rights(), namespace_rights("stampchat")):
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "gateway", "namespace": "stampchat-gateway"}]
        assert "*" not in json.dumps(role["rules"])
