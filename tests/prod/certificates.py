"""Have certificates issued in an embedded cluster as the world issues them: cert-manager, an ACME server, a DNS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployer.workspace import Workspace
from tests.prod.cert_manager import await_cert_manager, install_cert_manager
from tests.prod.pebble import Names, Pebble, names, pebble


@dataclass(frozen=True)
class Issuing:
    """Hold what issues certificates.

    Attributes:
        names: where the world believes that a name leads; nowhere until it is told.
        pebble: the ACME server.
        kubeconfig: the cluster that cert-manager runs in.
    """

    names: Names
    pebble: Pebble
    kubeconfig: Path

    def await_ready(self) -> None:
        """Wait until cert-manager serves."""
        await_cert_manager(self.kubeconfig)


@contextmanager
def issuing(workspace: Workspace, kubeconfig: Path, *, host: str, folder: Path) -> Iterator[Issuing]:
    """Install cert-manager into an embedded cluster, and run the rest beside it on this machine.

    Args:
        workspace: the cluster's.
        kubeconfig: gives full rights on it.
        host: this machine's address, as pods reach it.
        folder: for files and logs.
    """
    with names(host, folder / "names.log") as dns, pebble(host, folder / "pebble", dns) as acme:
        install_cert_manager(workspace, kubeconfig, nameserver=dns.address)
        yield Issuing(dns, acme, kubeconfig)
