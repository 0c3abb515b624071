"""Ask a hosted database whether it answers: TCP, then TLS, then the password."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from deployer.report import Report
from deployer.secrets.catalogue import ANSWERING, Given
from deployer.secrets.login import RefusedError, UntriedError, log_in
from deployer.secrets.vault import Vault
from deployer.workspace import Workspace
from infra.config import DatabaseAddress, database_url_problems, parse_database_url

SECONDS = 5.0
# Of Postgres' versions, what docs/databases.md promises.
OLDEST = 15
# https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
# What a person has to mend, by the server's code.
_WRONG = {
    "28P01": "refuses the password",
    "28000": "refuses this user from here",
    "3D000": "has no such database",
    "42501": "does not let this user into the database",
}


@dataclass(frozen=True)
class Probe:
    """Say what a database answered.

    Attributes:
        said: in a few words.
        problem: what is wrong with its address or its password, as far as that is certain; nothing when a network
            stands between: a database that only the cluster reaches is well.
    """

    said: str
    problem: str = ""


def probe_database(address: DatabaseAddress, password: str = "") -> Probe:
    """Ask a database for an answer.

    The certificate is not judged here: its CA may be one that only the pods have. The password goes out as a proof
    that is of no use to whoever reads it.

    Args:
        address: where the database is.
        password: what opens it; without one nobody logs in.
    """
    try:
        with socket.create_connection((address.host, address.port), timeout=SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            answer = plain.recv(1)
            if answer == b"N":
                return Probe("", "answers, but offers no TLS; switch TLS on at the provider")
            if answer != b"S":
                return Probe("", f"{address.host}:{address.port} answers, but is no Postgres")
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(plain, server_hostname=address.host) as secure:
                return _try(secure, address, password) if password else Probe("reachable, with TLS")
    except socket.gaierror:
        return Probe(f"{address.host} has no address, as seen from here")
    except TimeoutError:
        return Probe(f"no answer from {address.host}:{address.port} within {SECONDS:.0f} s")
    except (OSError, ssl.SSLError) as error:
        return Probe(f"not reachable from here: {error.strerror or error}")


def probe_all(values: Mapping[Given, str], report: Report) -> dict[Given, Probe]:
    """Ask each database among some values, all at once; addresses that are wrong are left out."""
    addresses = {
        secret: parse_database_url(values[secret])
        for secret in ANSWERING
        if values.get(secret) and not database_url_problems(values[secret])
    }
    if not addresses:
        return {}
    report.note("asking the databases for an answer")
    passwords = [unquote(urlsplit(values[secret]).password or "") for secret in addresses]
    with ThreadPoolExecutor() as pool:
        return dict(zip(addresses, pool.map(probe_database, addresses.values(), passwords), strict=True))


def ask_databases(workspace: Workspace, stack: str, settings: Mapping[str, Any], report: Report) -> dict[Given, Probe]:
    """Open a stack's secrets and ask each of its databases for an answer.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        settings: its file.
        report: where progress goes.

    Raises:
        UsageError: the passphrase does not open them.
    """
    values, _ = Vault(workspace, stack, settings, report).open()
    return probe_all({secret: values.get(secret.full_key, "") for secret in ANSWERING}, report)


def _try(connection: ssl.SSLSocket, address: DatabaseAddress, password: str) -> Probe:
    try:
        version = log_in(connection, address.user, password, address.database)
    except RefusedError as error:
        if error.code in _WRONG:
            return Probe("", f"the server {_WRONG[error.code]}: {error.words}")
        return Probe(f"reachable, with TLS; it says {error.words!r}")
    except UntriedError as error:
        return Probe(f"reachable, with TLS; it {error}, so the password was not tried")
    major = int(version.partition(".")[0]) if version.partition(".")[0].isdigit() else OLDEST
    if major < OLDEST:
        return Probe("", f"is Postgres {version}, and the services need {OLDEST} or later")
    return Probe(f"reachable, with TLS; the password is right{f'; Postgres {version}' if version else ''}")
