"""Who signs the certificate, and how it proves that the name is ours."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from infra.builders.tls import certificate, cluster_issuer
from infra.config import AcmeConfig, ConfigError, validate_stack
from tests.infra.configs import PROD, make_authority

OWN = "https://acme.your-company.org/directory"


def read(**acme: Any) -> AcmeConfig:
    """Read the config's part about the issuer."""
    values = {**PROD, "stampchat:acme": json.dumps({"email": "ops@stampchat.app", **acme})}
    hosted = validate_stack(values).hosted
    assert hosted is not None
    return hosted.acme


def issuer(**acme: Any) -> dict[str, Any]:
    """Build the issuer's own part."""
    built: dict[str, Any] = cluster_issuer(read(**acme), "gateway-api")["spec"]["acme"]
    return built


@pytest.mark.parametrize(
    ("acme", "server"),
    [
        ({}, "https://acme-staging-v02.api.letsencrypt.org/directory"),
        ({"server": "staging"}, "https://acme-staging-v02.api.letsencrypt.org/directory"),
        ({"server": "production"}, "https://acme-v02.api.letsencrypt.org/directory"),
        ({"server": OWN}, OWN),
    ],
)
def test_a_word_or_an_address_names_the_server(acme: dict[str, str], server: str) -> None:
    """Staging unless it is said; each has an account of its own."""
    found = issuer(**acme)

    assert found["server"] == server
    assert "caBundle" not in found
    accounts = {issuer(server=name)["privateKeySecretRef"]["name"] for name in ("staging", "production", OWN)}
    assert found["privateKeySecretRef"]["name"] in accounts
    assert len(accounts) == 3


def test_a_server_of_ones_own_may_have_an_authority_of_its_own() -> None:
    """The field is bytes, so its PEM stands in base64."""
    authority = make_authority()

    found = issuer(server=OWN, caBundle=authority)

    assert base64.b64decode(found["caBundle"]).decode() == authority.strip()


@pytest.mark.parametrize(
    ("acme", "said"),
    [
        ({"server": "http://acme.org/directory"}, "stampchat:acme.server is 'http://acme.org/directory', not one of"),
        ({"server": "https://"}, "stampchat:acme.server is 'https://', not one of staging, production, nor an ACME"),
        ({"server": "https://me:pw@acme.org/d"}, "stampchat:acme.server is"),
        ({"server": "https://[acme/d"}, "stampchat:acme.server is"),
        ({"server": "prod"}, "stampchat:acme.server is 'prod', not one of staging, production, nor"),
        ({"server": OWN, "caBundle": "what"}, "stampchat:acme.caBundle is no certificate in PEM"),
        ({"server": OWN, "caBundle": "-----BEGIN EC PRIVATE KEY-----"}, "stampchat:acme.caBundle holds a private key"),
        ({"server": "staging", "caBundle": make_authority()}, "stampchat:acme.caBundle is for a server of your own"),
    ],
)
def test_what_is_refused(acme: dict[str, str], said: str) -> None:
    """With its key's path."""
    with pytest.raises(ConfigError) as caught:
        read(**acme)

    assert [problem for problem in caught.value.problems if problem.startswith(said)], caught.value.problems


def test_the_challenge_comes_in_by_the_gateway_in_clear() -> None:
    """Emissary takes it by a Mapping of ours; an ingress class that nobody serves keeps every other controller off."""
    acme = AcmeConfig(server="staging", email="ops@stampchat.app")
    (by_gateway,) = cluster_issuer(acme, "gateway-api")["spec"]["acme"]["solvers"]
    (by_emissary,) = cluster_issuer(acme, "ambassador")["spec"]["acme"]["solvers"]

    (parent,) = by_gateway["http01"]["gatewayHTTPRoute"]["parentRefs"]
    assert (parent["name"], parent["namespace"], parent["sectionName"]) == ("gateway", "stampchat-gateway", "web")
    assert by_emissary["http01"] == {"ingress": {"class": "stampchat-acme", "serviceType": "ClusterIP"}}
    # No port of a node is opened for it.
    assert by_gateway["http01"]["gatewayHTTPRoute"]["serviceType"] == "ClusterIP"


def test_a_renewal_makes_a_new_key() -> None:
    """A key that leaked is of no use for longer than a certificate lives."""
    spec = certificate("chat.stampchat.app", "stampchat-gateway")["spec"]

    assert spec["privateKey"]["rotationPolicy"] == "Always"
    assert spec["dnsNames"] == ["chat.stampchat.app"]
