"""Choose the ports: the gateway's is kept and never moves in silence, the others are whatever is free."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import UsageError
from deployer.local.layout import GATEWAY_PORT, POSTGRES_PORT, SERVICES, Layout
from deployer.ports import Holder, find_holders, port_taken

# How many ports after 8080 are tried before other checkouts of ours make us give up.
_PORTS = 100
_HAS_ABSTRACT_NAMES = sys.platform == "linux"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Places:
    """Say where everything listens; all but the gateway only ever on this machine.

    Attributes:
        gateway: the gateway's port.
        postgres: the database's.
        public: each service's public port, by its name.
        internal: each service's internal port, by its name.
        lan: addresses of this machine under which other machines reach the gateway.
    """

    gateway: int
    postgres: int
    public: dict[str, int]
    internal: dict[str, int]
    lan: tuple[str, ...] = ()

    @property
    def origins(self) -> list[str]:
        """The addresses under which a browser may have opened the page."""
        return [f"http://{host}:{self.gateway}" for host in (LOOPBACK, "localhost", *self.lan)]

    @property
    def url(self) -> str:
        """Where the gateway answers on this machine."""
        return f"http://{LOOPBACK}:{self.gateway}"

    def internal_url(self, service: str, path: str = "") -> str:
        """Return an address on a service's internal port."""
        return f"http://{LOOPBACK}:{self.internal[service]}{path}"

    def public_url(self, service: str, path: str = "") -> str:
        """Return an address on a service's public port."""
        return f"http://{LOOPBACK}:{self.public[service]}{path}"


def choose_places(layout: Layout, wanted: int | None, held: ExitStack) -> Places:
    """Choose ports that are free now.

    The gateway has the port that the user asks for, or the one of last time, or 8080. Another checkout's gateway on
    it makes us take the next one; anything else is refused, since someone may rely on the address.

    Args:
        layout: where the gateway's port is kept.
        wanted: the port that the user asks for.
        held: until when no other `local` of this machine chooses the same ones.

    Raises:
        UsageError: the port is taken.
    """
    gateway = _gateway(layout, wanted, held)
    postgres = _free(POSTGRES_PORT, held)
    public = {service.name: _free(service.public_port, held) for service in SERVICES}
    internal = {service.name: _free(service.internal_port, held) for service in SERVICES}
    layout.port.write_text(f"{gateway}\n", encoding="utf-8")
    return Places(gateway, postgres, public, internal)


def _gateway(layout: Layout, wanted: int | None, held: ExitStack) -> int:
    if wanted is not None:
        return _checked(wanted, held)
    first = _kept(layout) or GATEWAY_PORT
    for port in range(first, min(first + _PORTS, 1 << 16)):
        if _reserve(port, held):
            return port
        if not all(map(_is_ours, find_holders(port))):
            raise port_taken(port)
    raise port_taken(first)


def _kept(layout: Layout) -> int | None:
    try:
        port = int(layout.port.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return port if 0 < port < 1 << 16 else None


def _checked(port: int, held: ExitStack) -> int:
    if not _reserve(port, held):
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((LOOPBACK, port))
        except PermissionError as error:
            raise UsageError(
                f"Port {port} may not be used by an ordinary user.", advice="Choose one from 1024 on: `--port 8081`."
            ) from error
        except OSError:
            raise port_taken(port) from None
        raise UsageError(f"Another `local` is taking port {port} at this moment.", advice="Choose another: `--port`.")
    return port


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a port can be listened on, also by somebody who listens on every address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _is_ours(holder: Holder) -> bool:
    """Tell whether it is a cluster's forwarder or the gateway of another `local`."""
    gateway = any(Path(word).name == "traefik" for word in holder.command[:1])
    return holder.is_box or holder.is_remnant or (gateway and any("/local/routes.yaml" in w for w in holder.command))


def _free(preferred: int, held: ExitStack) -> int:
    """Return the preferred port, or any that is free."""
    if _reserve(preferred, held):
        return preferred
    for _ in range(_PORTS):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if _reserve(port, held):
            return port
    raise UsageError("No port of this machine is free.")


def _reserve(port: int, held: ExitStack) -> bool:
    """Take a port that is free, so that no other `local` takes it before what is to listen there does."""
    with ExitStack() as claimed:
        if _HAS_ABSTRACT_NAMES:
            # It belongs to the same network as the port, and the kernel takes it back from the dead.
            claim = claimed.enter_context(socket.socket(socket.AF_UNIX))
            try:
                claim.bind(f"\0stampchat-local-port-{port}")
            except OSError:
                return False
        if not is_free(port):
            return False
        held.enter_context(claimed.pop_all())
    return True
