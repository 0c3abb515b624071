"""Give a cluster certificates of its own.

The keys of the authorities and the key that signs service account tokens are made once; every other certificate is
made anew at each start, and in a running cluster before it ends (`expiry`), so that a changed address is in it. An
authority whose own certificate nears its end gets a new one for the same key: what either of the two has signed is
good under both, so that nobody who trusts the old one has to hear of it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deployer.cluster.embedded.files import write_private
from deployer.cluster.embedded.layout import DOMAIN, KUBERNETES_ADDRESS, Layout
from deployer.cluster.model import REGISTRY_NAME

_AUTHORITY_LIFE = dt.timedelta(days=3650)
LEAF_LIFE = dt.timedelta(days=1095)
# The clocks of a laptop that slept may be behind for a while.
_SKEW = dt.timedelta(hours=1)

_SERVER = ExtendedKeyUsageOID.SERVER_AUTH
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Authority:
    """Sign certificates.

    Attributes:
        certificate: its own.
        key: what it signs with.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class _Leaf:
    file: str
    common_name: str
    group: str = ""
    names: Sequence[str] = ()
    usage: x509.ObjectIdentifier = _CLIENT


def issue_certificates(layout: Layout, now: dt.datetime | None = None) -> None:
    """Make the authorities if they are missing, and every other certificate.

    Args:
        layout: the cluster; files go to its pki folder, keys readable by root alone.
        now: when their lives begin; this moment unless said.
    """
    when = now or dt.datetime.now(dt.UTC)
    cluster = _authority(layout.pki, "ca", layout.name, when)
    front_proxy = _authority(layout.pki, "front-proxy-ca", f"{layout.name}-front-proxy", when)
    _signing_key(layout.pki / "service-accounts.key", layout.pki / "service-accounts.pub")
    for leaf in _leaves(layout):
        _issue(layout.pki, cluster, leaf, when)
    _issue(layout.pki, front_proxy, _Leaf("front-proxy-client", "front-proxy-client"), when)


def certificate_files(layout: Layout) -> list[Path]:
    """List the files of the certificates that a cluster has, those of its authorities included."""
    names = ["ca", "front-proxy-ca", "front-proxy-client", *(leaf.file for leaf in _leaves(layout))]
    return [layout.pki / f"{name}.crt" for name in names]


def _leaves(layout: Layout) -> list[_Leaf]:
    kubernetes = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}"]
    api_names = [layout.address, KUBERNETES_ADDRESS, "127.0.0.1", "localhost", *kubernetes]
    node = f"system:node:{layout.name}"
    return [
        _Leaf("apiserver", "kube-apiserver", names=api_names, usage=_SERVER),
        _Leaf("apiserver-kubelet-client", "stampchat:kubelet-client"),
        _Leaf("kubelet", node, names=[layout.name, layout.address], usage=_SERVER),
        _Leaf("kubelet-client", node, "system:nodes"),
        _Leaf("admin", "stampchat-admin", "system:masters"),
        _Leaf("controller-manager", "system:kube-controller-manager"),
        _Leaf("scheduler", "system:kube-scheduler"),
        _Leaf("kube-proxy", "system:kube-proxy"),
        _Leaf("local-path", "stampchat:local-path"),
        _Leaf("kube-router", "stampchat:kube-router"),
        _Leaf("metrics-server", "stampchat:metrics-server"),
        _Leaf("registry", "registry", names=[layout.address, REGISTRY_NAME], usage=_SERVER),
        _Leaf("metrics-server-serving", "metrics-server", names=["metrics-server.kube-system.svc"], usage=_SERVER),
    ]


def _authority(folder: Path, file: str, common_name: str, now: dt.datetime) -> Authority:
    """Load an authority, or make what is missing of it: its certificate for the same key, or both."""
    certificate_file, key_file = folder / f"{file}.crt", folder / f"{file}.key"
    key = _load_key(key_file)
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(key_file, _pem(key))
        return _certify(certificate_file, key, common_name, now)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except (FileNotFoundError, ValueError):
        return _certify(certificate_file, key, common_name, now)
    is_good = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - LEAF_LIFE
    if not is_good or certificate.public_key() != key.public_key():
        return _certify(certificate_file, key, common_name, now)
    return Authority(certificate, key)


def _load_key(file: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _certify(file: Path, key: ec.EllipticCurvePrivateKey, common_name: str, now: dt.datetime) -> Authority:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = _builder(subject, subject, key, now, _AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs=True), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())
    write_private(file, certificate.public_bytes(serialization.Encoding.PEM))
    return Authority(certificate, key)


def _issue(folder: Path, authority: Authority, leaf: _Leaf, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, leaf.common_name)]
    if leaf.group:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, leaf.group))
    builder = _builder(x509.Name(attributes), authority.certificate.subject, key, now, LEAF_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([leaf.usage]), critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(issuer, critical=False)
    if leaf.names:
        names = x509.SubjectAlternativeName([_general_name(name) for name in leaf.names])
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(authority.key, hashes.SHA256())
    write_private(folder / f"{leaf.file}.key", _pem(key))
    write_private(folder / f"{leaf.file}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _signing_key(private: Path, public: Path) -> None:
    """Make the key of the service account tokens; tokens outlive restarts, so it stays."""
    key = _load_key(private)
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(private, _pem(key))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    write_private(public, key.public_key().public_bytes(serialization.Encoding.PEM, form))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - _SKEW).not_valid_after(now + life)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
