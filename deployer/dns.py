"""Say which DNS record leads clients here, what the name leads to now, and whether a certificate can come."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from deployer.checks import load_settings
from deployer.errors import DeployError, UsageError
from deployer.issuance import Issuance, read_issuance
from deployer.kube import Kube
from deployer.report import Report
from deployer.stack import is_embedded
from deployer.workspace import Workspace

GATEWAY_NAMESPACE = "stampchat-gateway"
# A resolver keeps "there is no such name" for minutes; asking more often learns nothing.
PAUSE_SECONDS = 10.0
_HTTP_SECONDS = 5.0
_CHALLENGE = "/.well-known/acme-challenge/stampchat-probe"


@dataclass(frozen=True)
class Record:
    """One DNS record to make."""

    name: str
    kind: str
    value: str


@dataclass(frozen=True)
class Dns:
    """Say how the name and the deployment stand to each other.

    Attributes:
        hostname: the name that clients use.
        balancer: addresses or names of the cluster's load balancer; none while the cloud is still making it.
        records: what to make at whoever serves the domain.
        resolves_to: the addresses that the name leads to, as seen from here.
        leads_here: whether each of those is the load balancer's.
        challenge: whether the way of an ACME challenge is open: "open", or why not.
        issuance: how far cert-manager is; None where nobody asked it.
    """

    hostname: str
    balancer: tuple[str, ...]
    records: tuple[Record, ...]
    resolves_to: tuple[str, ...]
    leads_here: bool
    challenge: str
    issuance: Issuance | None = None

    @property
    def certificate_can_work(self) -> bool:
        """Whether Let's Encrypt would find us when it asks over HTTP."""
        return self.leads_here and self.challenge == "open"


Resolve = Callable[[str], Sequence[str]]


def look_up(workspace: Workspace, stack: str, report: Report) -> Dns:
    """Compare what the load balancer has with what the name leads to.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        report: where progress goes.

    Raises:
        UsageError: the stack has no name.
        DeployError: its cluster does not answer.
    """
    settings = load_settings(workspace, stack)
    if is_embedded(settings):
        raise UsageError(
            f"Stack {stack} has no DNS name: it answers on this machine alone.",
            advice="`./stampchat status` says at which URL.",
        )
    config = settings["config"]
    gateway = config.get("stampchat:gateway") or {}
    ambassador = gateway.get("kind", "ambassador") == "ambassador"
    namespace = gateway.get("ambassadorNamespace", "emissary") if ambassador else GATEWAY_NAMESPACE
    report.note("asking the cluster for its load balancer")
    kube = Kube(workspace, settings)
    found = compare(str(config["stampchat:hostname"]), balancer_addresses(kube, str(namespace)))
    return replace(found, issuance=read_issuance(kube))


def wait_for(look: Callable[[], Dns], report: Report, *, seconds: float, pause: float = PAUSE_SECONDS) -> Dns:
    """Look again and again until the name leads here.

    Args:
        look: what looks.
        report: where progress goes.
        seconds: the most to wait.
        pause: between two looks.

    Raises:
        DeployError: it does not in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()).certificate_can_work:
        if time.monotonic() + pause > deadline:
            leads = ", ".join(found.resolves_to) or "nothing"
            raise DeployError(
                f"{found.hostname} does not lead here after {seconds:.0f} s: it leads to {leads}.",
                said="\n".join(f"{record.name} {record.kind} {record.value}" for record in found.records),
                advice="Make that record where the domain is served; resolvers may keep the old answer for its TTL.",
            )
        report.note(f"{found.hostname} leads to {', '.join(found.resolves_to) or 'nothing'}; waiting")
        time.sleep(pause)
    return found


def compare(hostname: str, balancer: Sequence[str], *, resolve: Resolve | None = None) -> Dns:
    """Work out records and state from a name and its load balancer's addresses.

    Args:
        hostname: the name that clients use.
        balancer: addresses or names.
        resolve: asks for a name's addresses; the system's resolver unless told.
    """
    ask = resolve or resolve_here
    resolved = tuple(ask(hostname))
    own = {address for entry in balancer for address in ([entry] if _kind(entry) != "CNAME" else ask(entry))}
    leads_here = bool(resolved) and bool(own) and set(resolved) <= own
    return Dns(
        hostname=hostname,
        balancer=tuple(balancer),
        records=tuple(Record(hostname, _kind(entry), entry) for entry in balancer),
        resolves_to=resolved,
        leads_here=leads_here,
        challenge=probe_challenge(hostname) if leads_here else "not asked, since the name does not lead here",
    )


def resolve_here(name: str) -> list[str]:
    """Return a name's addresses as this machine's resolver gives them; none when there are none."""
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(entry[4][0]) for entry in found})


def probe_challenge(hostname: str, port: int = 80) -> str:
    """Ask for a challenge that nobody set, in clear, as Let's Encrypt would: a 404 shows that the way is open."""
    connection = http.client.HTTPConnection(hostname, port, timeout=_HTTP_SECONDS)
    try:
        connection.request("GET", _CHALLENGE)
        status = connection.getresponse().status
    except OSError as error:
        return f"port {port} does not answer: {error.strerror or error}"
    except http.client.HTTPException:
        return f"port {port} does not speak HTTP"
    finally:
        connection.close()
    # Let's Encrypt follows redirects to https too, and does not judge the certificate there.
    # https://letsencrypt.org/docs/challenge-types/#http-01-challenge
    return "open" if status in {404, 301, 302, 307, 308, 503} else f"port {port} answers {status}"


def balancer_addresses(kube: Kube, namespace: str) -> list[str]:
    """List the addresses of the load balancers in a namespace.

    Raises:
        DeployError: the cluster does not answer, or there is no load balancer.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        services: Any = kube.core.list_namespaced_service(namespace, _request_timeout=5).items
    except (HTTPError, OSError, ApiException) as error:
        raise DeployError("The cluster does not answer.", said=str(error)) from error
    balancers = [service for service in services if service.spec.type == "LoadBalancer"]
    if not balancers:
        raise DeployError(
            f"There is no load balancer in the namespace {namespace}.",
            advice="With gateway.kind ambassador it is Emissary's; name its namespace in gateway.ambassadorNamespace.",
        )
    entries = [entry for service in balancers for entry in service.status.load_balancer.ingress or []]
    return [str(entry.ip or entry.hostname) for entry in entries]


def _kind(value: str) -> str:
    try:
        return "AAAA" if ipaddress.ip_address(value).version == 6 else "A"  # noqa: PLR2004  # IPv6
    except ValueError:
        return "CNAME"
