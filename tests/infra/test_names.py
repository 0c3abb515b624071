"""Names within the cluster are told from others."""

from __future__ import annotations

import pytest

from infra.names import namespace_of


@pytest.mark.parametrize(
    ("host", "namespace"),
    [
        ("nats.messaging.svc", "messaging"),
        ("nats.messaging.svc.cluster.local", "messaging"),
        ("nats", ""),
        ("nats.messaging", ""),
        ("nats.messaging.svc-elsewhere.org", ""),
        ("10.0.0.7", ""),
        ("", ""),
    ],
)
def test_only_a_services_name_has_a_namespace(host: str, namespace: str) -> None:
    assert namespace_of(host) == namespace
