"""Read what only a deployment on a managed cluster has: its name, its certificate, its databases, its platform."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from infra.catalogue import DATABASE_CA_FILE
from infra.connections import DEFAULT_MAX_CONNECTIONS, RESERVE
from infra.database_url import database_url_problems
from infra.pull_secret import read_pull_secret
from infra.values import SecretText, Values

# Let's Encrypt's two services, by the words for them.
ACME_SERVERS = ("staging", "production")

# Config keys of the hosted databases, by service.
DATABASE_URL_KEYS = {
    "auth": "authDatabaseUrl",
    "chat": "chatDatabaseUrl",
    "notifications": "notificationsDatabaseUrl",
}
# The same databases for the role that owns the tables, where that is another one than the service's own.
MIGRATE_URL_KEYS = {
    "auth": "authMigrateDatabaseUrl",
    "chat": "chatMigrateDatabaseUrl",
    "notifications": "notificationsMigrateDatabaseUrl",
}
_CA_KEY = "databaseCa"
# RFC 2606 and 6761: nobody can own these, so a template's domain left in place is found before Let's Encrypt finds it.
RESERVED_DOMAINS = ("example.com", "example.org", "example.net", "example", "test", "invalid", "localhost")


@dataclass(frozen=True)
class AcmeConfig:
    """Say who signs the certificate.

    Attributes:
        server: Let's Encrypt's staging (untrusted, generous limits) or production service, or any other's directory.
        email: where it writes when something is wrong.
        ca_bundle: the authority that signed the server's own certificate, as PEM; nothing for a public one.
    """

    server: str
    email: str
    ca_bundle: str = ""


@dataclass(frozen=True)
class HostedConfig:
    """Hold what only a deployment on a managed cluster has.

    Attributes:
        hostname: the DNS name that clients use.
        acme: who signs its certificate.
        databases: a connection string per service: auth, chat, notifications.
        migrate_databases: the same for a role that owns the tables; of those services that have one.
        database_ca: the authority that signed the databases' certificates, as PEM; nothing for a public one.
        max_connections: what each database server takes.
        sockets_per_pod: open sockets at which chat gets another pod; None leaves that to the processor alone.
        install_platform: whether Emissary-ingress and cert-manager are ours to install.
        image_pull_secret: what the images' registry is shown, as Docker's configuration; None for a public one.
    """

    hostname: str
    acme: AcmeConfig
    databases: Mapping[str, SecretText]
    migrate_databases: Mapping[str, SecretText]
    database_ca: str
    max_connections: int
    sockets_per_pod: int | None
    install_platform: bool
    image_pull_secret: SecretText | None


def read_hosted(reader: Values) -> HostedConfig:
    """Read every key of a managed cluster's own; what is wrong is remembered by the reader."""
    authority = _read_authority(reader, _CA_KEY)
    return HostedConfig(
        hostname=_read_hostname(reader),
        acme=_read_acme(reader),
        databases={
            service: check_database_url(reader, key, reader.secret(key), authority)
            for service, key in DATABASE_URL_KEYS.items()
        },
        migrate_databases={
            service: check_database_url(reader, key, reader.secret(key), authority)
            for service, key in MIGRATE_URL_KEYS.items()
            if reader.has(key)
        },
        database_ca=authority,
        max_connections=reader.integer(
            "databaseMaxConnections", DEFAULT_MAX_CONNECTIONS, least=RESERVE + 1, most=1_000_000
        ),
        sockets_per_pod=_read_sockets(reader),
        install_platform=_read_platform(reader),
        image_pull_secret=read_pull_secret(reader),
    )


def check_database_url(reader: Values, key: str, secret: SecretText, authority: str) -> SecretText:
    """Judge the address of a hosted database, unless it is still encrypted, and return it.

    Args:
        reader: where problems are remembered.
        key: the address's key.
        secret: the address.
        authority: who signed the server's certificate; nothing for a public one.
    """
    if secret.sealed:
        return secret
    url = secret.reveal()
    problems = database_url_problems(url)
    for problem in problems:
        reader.problem(key, problem)
    named = "" if problems else parse_qs(urlsplit(url).query).get("sslrootcert", [""])[-1]
    if named not in ("", "system") and not (authority and named == DATABASE_CA_FILE):
        reader.problem(key, f"names an authority's file that no pod has; leave sslrootcert away and set {_CA_KEY}")
    return secret


def _read_hostname(reader: Values) -> str:
    hostname = reader.host_name("hostname")
    if any(hostname == domain or hostname.endswith(f".{domain}") for domain in RESERVED_DOMAINS):
        reader.problem("hostname", f"is {hostname!r}, a name that nobody can own; set your own")
    return hostname


def _read_acme(reader: Values) -> AcmeConfig:
    acme = reader.nested("acme")
    email = acme.text("email")
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        acme.problem("email", f"is {email!r}, not an e-mail address")
    server = acme.text("server", "staging")
    own = server not in ACME_SERVERS
    if own and not _is_directory(server):
        acme.problem("server", f"is {server!r}, not one of staging, production, nor an ACME directory's https address")
    ca_bundle = _read_authority(acme, "caBundle")
    if ca_bundle and not own:
        acme.problem("caBundle", f"is for a server of your own, and {server} is Let's Encrypt's; leave it away")
    acme.reject_unread()
    return AcmeConfig(server=server, email=email, ca_bundle=ca_bundle)


def _is_directory(url: str) -> bool:
    try:
        parts = urlsplit(url)
        usable = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and not (parts.username or parts.query or parts.fragment) and not re.search(r"\s", url)


def _read_authority(reader: Values, key: str) -> str:
    if not reader.has(key):
        return ""
    pem = reader.text(key, "")
    if "PRIVATE KEY" in pem:
        reader.problem(key, "holds a private key, which belongs to the authority alone; give its certificate")
        return ""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        load_pem_x509_certificates(pem.encode())
    except ValueError:
        reader.problem(key, "is no certificate in PEM: -----BEGIN CERTIFICATE----- and so on")
        return ""
    return pem


def _read_sockets(reader: Values) -> int | None:
    autoscaling = reader.nested("autoscaling")
    sockets = autoscaling.integer("sockets", 0, least=1, most=1_000_000)
    autoscaling.reject_unread()
    return sockets or None


def _read_platform(reader: Values) -> bool:
    platform = reader.nested("platform")
    install = platform.flag("install", default=False)
    platform.reject_unread()
    return install
