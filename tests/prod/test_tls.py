"""TLS of stack prod: a certificate that is issued, renewed, and explained where it does not come."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from kubernetes.config import new_client_from_config

from deployer.issuance import begin_issuance, read_issuance
from deployer.kube import Kube
from deployer.outside import judge_served
from deployer.stack_file import change_stack_file
from tests.order.objects import eventually
from tests.prod.ground import EMAIL, HOSTNAME, Ground
from tests.prod.load import Crowd, under_load

pytestmark = pytest.mark.cluster

# The shape of an address, and yet none: the issuer knows better than we do.
WRONG_EMAIL = "operator..prod@stampchat.internal"


@pytest.fixture(scope="module")
def kube(ground: Ground) -> Iterator[Kube]:
    """Speak with the cluster as the commands do."""
    with new_client_from_config(str(ground.kubeconfig)) as connection:
        yield cast("Kube", SimpleNamespace(connection=connection))


def shake_hands(ground: Ground) -> x509.Certificate:
    """Connect as a user does who trusts the issuer's root and no other; return the certificate that is shown."""
    trust = ssl.create_default_context(cafile=str(ground.authority))
    with (
        socket.create_connection((ground.address, 443), timeout=60) as plain,
        trust.wrap_socket(plain, server_hostname=HOSTNAME) as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")


def test_dns_sees_the_name_the_way_and_the_certificate(ground: Ground) -> None:
    """What the challenge passed by is open, and the certificate is there."""
    found = ground.checkout.json("dns", "--stack", "prod")

    assert found["records"] == [{"name": HOSTNAME, "kind": "A", "value": ground.address}]
    assert (found["leads_here"], found["challenge"], found["certificate_can_work"]) == (True, "open", True)
    assert (found["issuance"]["ready"], found["issuance"]["words"]) == (True, [])


def test_dns_sees_a_name_that_leads_elsewhere(ground: Ground) -> None:
    """Without the line that makes the name resolve on this machine nobody finds it."""
    hosts = ground.checkout.hosts
    known = hosts.read_text(encoding="utf-8")
    try:
        hosts.write_text(known.replace(f"{ground.address} {HOSTNAME}", f"{ground.host} {HOSTNAME}"), encoding="utf-8")
        said = ground.checkout.run("dns", "--stack", "prod", expect=1)
        with ground.checkout.begin("dns", "--stack", "prod", "--wait", "--timeout", "1") as waiting:
            _, late = waiting.communicate()
    finally:
        hosts.write_text(known, encoding="utf-8")

    assert f"Record     {HOSTNAME}. A {ground.address}" in said
    assert f"Leads to   {ground.host}\n" in said
    assert "That is not this deployment yet, so no certificate can come." in said
    assert waiting.returncode == 1
    assert f"it leads to {ground.host}" in late
    assert f"{HOSTNAME} A {ground.address}" in late


async def test_a_renewal_disturbs_nobody(ground: Ground, kube: Kube) -> None:
    """Sockets live on, no request and no message is lost, and new handshakes are shown the new certificate."""
    before = shake_hands(ground)

    def renew() -> x509.Certificate:
        assert begin_issuance(kube, failed_only=False)
        # Of three gateway pods each takes it up when it sees it: what one shows, the next may not show yet.
        shown: list[x509.Certificate] = []

        def new() -> bool:
            shown.append(shake_hands(ground))
            return shown[-1].serial_number != before.serial_number

        eventually(new, "a new certificate")
        return shown[-1]

    after, seen = await under_load(ground.site, ground.google.id_token, renew, requests=300, crowd=Crowd(clients=6))

    assert (seen.lost, seen.faults, seen.reconnects, seen.refused) == ([], [], 0, 0)
    assert seen.messages > 50
    assert after.public_key() != before.public_key()
    assert judge_served(after.public_bytes(Encoding.DER), HOSTNAME, after.not_valid_before_utc) == ""
    assert read_issuance(kube).ready


def test_an_up_that_the_issuer_refuses_ends_with_its_words(ground: Ground) -> None:
    """In one paragraph, soon, and the certificate that is there goes on serving; mended, the next `up` goes through."""
    stack = ground.checkout.root / "Pulumi.prod.yaml"
    change_stack_file(stack, {"stampchat:acme.email": WRONG_EMAIL}, {})
    try:
        with ground.checkout.begin("up", "--stack", "prod", "--yes") as update:
            _, said = update.communicate()
    finally:
        change_stack_file(stack, {"stampchat:acme.email": EMAIL}, {})

    assert update.returncode == 1
    assert "The update failed at ClusterIssuer stampchat." in said
    assert f'invalidContact: contact email "{WRONG_EMAIL}" is invalid' in said
    assert f"`./stampchat dns` says where {HOSTNAME} leads" in said
    assert shake_hands(ground)
    assert ground.up()["changes"].get("update") == 1
