"""Network policies: peers and flows."""

from __future__ import annotations

from typing import Any

import pytest

from infra.builders.network import INTERNET, Flow, Peer, default_deny, network_policy


@pytest.mark.parametrize(
    ("peer", "built"),
    [
        (Peer(name="auth"), {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "auth"}}}),
        (Peer(), {"podSelector": {}}),
        (Peer(namespace="dns"), {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dns"}}}),
        (
            Peer(name="gateway", namespace="in"),
            {
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "in"}},
            },
        ),
        (Peer(match={"solver": "true"}), {"podSelector": {"matchLabels": {"solver": "true"}}}),
        (Peer(network="10.0.0.0/8"), {"ipBlock": {"cidr": "10.0.0.0/8"}}),
    ],
)
def test_a_peer(peer: Peer, built: dict[str, Any]) -> None:
    """Pod and namespace in one peer mean both; an empty pod selector means every pod."""
    assert peer.build() == built


def test_the_internet_is_without_private_networks() -> None:
    """A pod that is let out to Google is not let in to the cloud's metadata."""
    assert "169.254.0.0/16" in INTERNET.build()["ipBlock"]["except"]


def test_a_policy_without_flows_refuses_both_ways() -> None:
    """Both directions are named, so both are closed."""
    assert network_policy("none", "some", {})["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_default_deny_asks_names_over_udp_and_tcp() -> None:
    """A long answer comes over TCP."""
    (rule,) = default_deny("some", "dns")["spec"]["egress"]

    assert {port["protocol"] for port in rule["ports"]} == {"TCP", "UDP"}
    assert Flow(Peer(), [1]).build("from") == {"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": 1}]}
