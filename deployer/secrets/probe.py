"""Ask a hosted database whether it answers, as far as one can without its password: TCP, then TLS."""

from __future__ import annotations

import socket
import ssl
import struct

from infra.config import DatabaseAddress

SECONDS = 5.0
# https://www.postgresql.org/docs/current/protocol-message-formats.html, SSLRequest
_SSL_REQUEST = struct.pack("!II", 8, 80877103)


def probe_database(address: DatabaseAddress) -> str:
    """Return "reachable, with TLS", or in a few words why not.

    The certificate is not judged here: its CA may be one that only the pods have.

    Args:
        address: where the database is.
    """
    try:
        with socket.create_connection((address.host, address.port), timeout=SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            answer = plain.recv(1)
            if answer != b"S":
                return "answers, but offers no TLS" if answer == b"N" else "answers, but is no Postgres"
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(plain, server_hostname=address.host):
                return "reachable, with TLS"
    except socket.gaierror:
        return f"{address.host} has no address"
    except TimeoutError:
        return f"no answer from {address.host}:{address.port} within {SECONDS:.0f} s"
    except (OSError, ssl.SSLError) as error:
        return f"not reachable from here: {error.strerror or error}"
