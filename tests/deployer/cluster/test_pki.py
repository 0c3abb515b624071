"""Certificates of a cluster's own."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from deployer.cluster.embedded.layout import Layout
from deployer.cluster.embedded.pki import issue_certificates
from deployer.cluster.model import Instance

_YEAR = dt.timedelta(days=365)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(home=tmp_path, instance=Instance(name="stampchat-0a1b2c", number=7, port=8080))


def _load(layout: Layout, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((layout.pki / f"{name}.crt").read_bytes())


def test_every_certificate_is_signed_by_its_authority(layout: Layout) -> None:
    """Leaves verify against the cluster's authority, the front proxy's against its own."""
    issue_certificates(layout)

    for certificate in layout.pki.glob("*.crt"):
        authority = "front-proxy-ca" if certificate.stem.startswith("front-proxy") else "ca"
        _load(layout, certificate.stem).verify_directly_issued_by(_load(layout, authority))


def test_the_api_server_is_named_by_every_address_that_clients_use(layout: Layout) -> None:
    """Its certificate has the box's address, the Service's address and the DNS name."""
    issue_certificates(layout)

    names = _load(layout, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {ipaddress.ip_address("10.231.7.2"), ipaddress.ip_address("10.96.0.1")} <= set(
        names.get_values_for_type(x509.IPAddress)
    )
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_the_kubelet_is_its_own_node_and_no_other(layout: Layout) -> None:
    """NodeRestriction goes by the common name."""
    issue_certificates(layout)

    subject = _load(layout, "kubelet-client").subject
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [
        "system:node:stampchat-0a1b2c"
    ]
    assert [name.value for name in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == ["system:nodes"]


def test_only_the_admin_has_every_right(layout: Layout) -> None:
    """No component is in the group that RBAC does not apply to."""
    issue_certificates(layout)

    masters = [
        path.stem
        for path in layout.pki.glob("*.crt")
        if any(name.value == "system:masters" for name in _load(layout, path.stem).subject)
    ]
    assert masters == ["admin"]


def test_keys_are_readable_by_their_owner_alone(layout: Layout) -> None:
    """Every file is 0600."""
    issue_certificates(layout)

    assert {path.stat().st_mode & 0o777 for path in layout.pki.iterdir()} == {0o600}


def test_a_second_start_keeps_the_authority_and_renews_the_rest(layout: Layout) -> None:
    """A kubeconfig of yesterday goes on working, and no certificate expires unnoticed."""
    issue_certificates(layout)
    before = {path.name: path.read_bytes() for path in layout.pki.iterdir()}

    issue_certificates(layout)

    after = {path.name: path.read_bytes() for path in layout.pki.iterdir()}
    kept = {name for name in before if before[name] == after[name]}
    assert kept == {
        *("ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key"),
        *("service-accounts.key", "service-accounts.pub"),
    }


@pytest.mark.parametrize("broken", ["ca.key", "ca.crt"])
@pytest.mark.parametrize("content", ["", "-----BEGIN CERTIFICATE-----\nnonsense", None])
def test_half_an_authority_is_made_anew(layout: Layout, broken: str, content: str | None) -> None:
    """A run that was cut short between the two files does not stop the next, and a key that is whole stays."""
    issue_certificates(layout)
    key = _load(layout, "ca").public_key()
    (layout.pki / broken).unlink() if content is None else (layout.pki / broken).write_text(content)

    issue_certificates(layout)

    _load(layout, "admin").verify_directly_issued_by(_load(layout, "ca"))
    assert (_load(layout, "ca").public_key() == key) is (broken == "ca.crt")


def test_an_authority_near_its_end_is_certified_anew_for_the_key_that_it_has(layout: Layout) -> None:
    """What it signed before is good under the new one and the other way round, and tokens stay good."""
    began = dt.datetime.now(dt.UTC)
    issue_certificates(layout, began)
    before = {name: _load(layout, name) for name in ("ca", "front-proxy-ca", "admin", "front-proxy-client")}
    tokens = (layout.pki / "service-accounts.key").read_bytes()

    issue_certificates(layout, began + 8 * _YEAR)

    for authority, leaf in (("ca", "admin"), ("front-proxy-ca", "front-proxy-client")):
        new = _load(layout, authority)
        assert new.not_valid_after_utc > before[authority].not_valid_after_utc + 7 * _YEAR
        before[leaf].verify_directly_issued_by(new)
        _load(layout, leaf).verify_directly_issued_by(before[authority])
    assert (layout.pki / "service-accounts.key").read_bytes() == tokens
