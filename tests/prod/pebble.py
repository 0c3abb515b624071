"""Have an ACME server and a DNS of the world's beside a cluster: Pebble, and its stand-in for name servers."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from tests.ports import free_port
from tests.services.storage.certificates import Authority
from tests.tools import go_tools

VERSION = "v2.10.1"
MODULE = "github.com/letsencrypt/pebble/v2"
_PATIENCE = 60.0
# A certificate of this name is refused, as a certificate authority's policy may.
REFUSED = "refused.stampchat-tests.org"


@dataclass(frozen=True)
class Names:
    """Answer for names, as the world's DNS does: nobody has an address until it is given one.

    Attributes:
        address: "ADDRESS:PORT" of the server.
        management: the port of this machine where it is told what to answer.
    """

    address: str
    management: int

    def lead(self, name: str, *addresses: str) -> None:
        """Make a name have these addresses and no others."""
        self._tell("clear-a", {"host": f"{name}."})
        if addresses:
            self._tell("add-a", {"host": f"{name}.", "addresses": list(addresses)})

    def _tell(self, call: str, body: dict[str, object]) -> None:
        connection = HTTPConnection("127.0.0.1", self.management, timeout=10)
        try:
            connection.request("POST", f"/{call}", json.dumps(body))
            assert connection.getresponse().status == HTTPStatus.OK
        finally:
            connection.close()


@dataclass(frozen=True)
class Pebble:
    """Issue certificates to whoever answers for a name.

    Attributes:
        directory: its ACME directory's URL, as the cluster's pods reach it.
        authority: who signed its own certificate, in PEM: the issuer's caBundle.
        roots: who signs what it issues, in PEM: what clients have to trust.
    """

    directory: str
    authority: str
    roots: str


@contextmanager
def names(host: str, log: Path) -> Iterator[Names]:
    """Run a DNS server on an address of this machine."""
    program, _ = _programs()
    port, management = free_port(), free_port()
    nowhere = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv4", "", "-defaultIPv6", ""]
    bind = ["-dnsserver", f"{host}:{port}", "-management", f"127.0.0.1:{management}"]
    served = Names(f"{host}:{port}", management)
    with _running([str(program), *nowhere, *bind], log) as process:
        _await(process, lambda: served.lead("ready.stampchat-tests.org"), log)
        yield served


@contextmanager
def pebble(host: str, folder: Path, dns: Names) -> Iterator[Pebble]:
    """Run Pebble on an address of this machine.

    Args:
        host: an address that pods reach.
        folder: for its files and its log.
        dns: whom it asks where a name leads.
    """
    _, program = _programs()
    folder.mkdir(parents=True, exist_ok=True)
    port, management = free_port(), free_port()
    authority = Authority(folder, "acme-server")
    _write_config(folder, host, port, management, authority)
    log = folder / "pebble.log"
    # It waits at random before it tries a challenge, and refuses some nonces, to try clients out: not ours to test.
    environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    command = [str(program), "-config", str(folder / "pebble.json"), "-dnsserver", dns.address]
    context = ssl.create_default_context(cafile=str(authority.file))

    def roots() -> str:
        with urllib.request.urlopen(f"https://127.0.0.1:{management}/roots/0", timeout=10, context=context) as answer:
            return str(answer.read().decode())

    with _running(command, log, environ) as process:
        _await(process, roots, log)
        yield Pebble(f"https://{host}:{port}/dir", authority.file.read_text(), roots())


def _write_config(folder: Path, host: str, port: int, management: int, authority: Authority) -> None:
    certificate, key = authority.issue(host, "127.0.0.1")
    config = {
        "listenAddress": f"{host}:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": 80,
        "tlsPort": 443,
        "domainBlocklist": [REFUSED],
        "retryAfter": {"authz": 1, "order": 1},
        "keyAlgorithm": "ecdsa",
        "profiles": {"default": {"description": "as Let's Encrypt's", "validityPeriod": 90 * 86400}},
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": config}))


def _programs() -> tuple[Path, Path]:
    dns, acme = go_tools(*(f"{MODULE}/cmd/{name}@{VERSION}" for name in ("pebble-challtestsrv", "pebble")))
    return dns, acme


@contextmanager
def _running(
    command: Sequence[str], log: Path, environ: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def _await(process: subprocess.Popen[bytes], ask: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            ask()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
