"""See from outside that what serves is what was deployed: routes, the login's path, the websocket's, TLS, images."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from deployer.errors import DeployError
from deployer.issuance import read_issuance
from deployer.kube import Kube, Pod
from deployer.report import Report
from deployer.rest import Rest

SECONDS = 60.0
_PAUSE = 0.5
# cert-manager renews a certificate when a third of its life is left; half of that gone too means that it has failed.
LEAST_PART = 1 / 6
_TLS_SECONDS = 5.0
SOCKET = "/chat/socket/websocket?vsn=2.0.0"
# RFC 6455, section 4.1; any sixteen bytes do for a key.
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "c3RhbXBjaGF0LW91dHNpZA==",
}


Check = Callable[[], str]


def check_outside(
    url: str,
    images: Mapping[str, str],
    kube: Kube,
    report: Report,
    *,
    trust: ssl.SSLContext | None = None,
    page: bool = False,
    seconds: float = SECONDS,
) -> int:
    """Run every check until all hold; return how many there are.

    Args:
        url: where clients reach the deployment.
        images: the references that were deployed, by name.
        kube: the cluster.
        report: where progress goes.
        trust: whose certificates are taken; None is whom this machine trusts.
        page: whether the web page is served.
        seconds: the most to wait: a rolling update's last old pod leaves after its grace period.

    Raises:
        DeployError: some do not hold in time; the message names each.
    """
    checks = outside_checks(url, trust, page=page) | {"images": lambda: judge_images(kube.pods(), images)}
    deadline = time.monotonic() + seconds
    while problems := {name: problem for name, check in checks.items() if (problem := check())}:
        if time.monotonic() > deadline:
            raise DeployError(
                "The update went through, but what serves is not what was deployed.",
                said="\n".join([*(f"{name}: {problem}" for name, problem in problems.items()), *_why(problems, kube)]),
                advice="See `./stampchat status` and `./stampchat logs`; `./stampchat rollback` goes back.",
            )
        report.note(f"looking from outside: {', '.join(problems)}")
        time.sleep(_PAUSE)
    return len(checks)


def _why(problems: Mapping[str, str], kube: Kube) -> Sequence[str]:
    """Let cert-manager say why there is no good certificate."""
    return read_issuance(kube).words if "certificate" in problems else ()


def outside_checks(url: str, trust: ssl.SSLContext | None = None, *, page: bool = False) -> dict[str, Check]:
    """List the checks of an address by name; each returns what is wrong, or nothing."""
    rest = Rest(url, trust)
    checks: dict[str, Check] = {
        "login": lambda: expect(rest, "POST", "/auth/login", 422, "invalid"),
        # As far as one gets without a token: the handshake has to come through the gateway whole.
        "websocket": lambda: expect(rest, "GET", SOCKET, 403, "no_token", headers=HANDSHAKE),
        "internal": lambda: expect(rest, "GET", "/chat/internal/users", 404, ""),
        "unknown": lambda: expect(rest, "GET", "/index.html", 404, ""),
        "page": lambda: expect(rest, "GET", "/", 200 if page else 404, ""),
    }
    parts = urlsplit(url)
    if parts.scheme == "https":
        host = parts.hostname or ""
        checks["certificate"] = lambda: judge_certificate(host, parts.port or 443, trust)
        checks["redirect"] = lambda: judge_redirect(host)
    return checks


def expect(
    rest: Rest, method: str, path: str, status: int, code: str, *, headers: Mapping[str, str] | None = None
) -> str:
    """Ask for a path and compare status and error code; a service of ours answers with both."""
    try:
        answer = asyncio.run(rest.post(path, {}) if method == "POST" else rest.get(path, headers=headers))
    except OSError as error:
        return f"{method} {path}: {error}"
    if answer.status != status:
        return f"{method} {path} answers {answer.status}, not {status}"
    if code and _code(answer.text) != code:
        return f"{method} {path} answers {status}, but not as our service does"
    return ""


def _code(text: str) -> str:
    try:
        return str(json.loads(text)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def judge_certificate(host: str, port: int, trust: ssl.SSLContext | None = None) -> str:
    """Ask for the certificate as a client does, and look how long it lasts."""
    try:
        with (
            socket.create_connection((host, port), timeout=_TLS_SECONDS) as plain,
            (trust or ssl.create_default_context()).wrap_socket(plain, server_hostname=host) as secure,
        ):
            served = secure.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError as error:
        return f"a client refuses it: {error.verify_message}"
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"
    return judge_served(served, host, dt.datetime.now(dt.UTC))


def judge_served(served: bytes, host: str, now: dt.datetime) -> str:
    """Look whom a certificate is for and how long it lasts yet, whoever signed it.

    Args:
        served: the certificate, in DER.
        host: the name that it should be for.
        now: the time.
    """
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(served)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if host not in names.get_values_for_type(x509.DNSName):
        return f"it is for {', '.join(names.get_values_for_type(x509.DNSName)) or 'no name'}, not for {host}"
    ends = certificate.not_valid_after_utc
    left, life = ends - now, ends - certificate.not_valid_before_utc
    if left >= LEAST_PART * life:
        return ""
    return f"its renewal has failed: it ends on {ends:%d %B %Y}, {left.days} days from now of the {life.days} it had"


def client_trust(settings: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return whose certificates the checks of a stack take: anybody's while it is out for a try, else whom we trust.

    Let's Encrypt's staging service signs with a root that nobody has. A check shows no secret to whom it asks.

    Args:
        settings: the stack's tracked file.
    """
    config = settings.get("config") or {}
    acme = config.get("stampchat:acme") or {}
    if "stampchat:hostname" not in config or acme.get("server", "staging") != "staging":
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def judge_redirect(host: str, port: int = 80) -> str:
    """See that a clear request is sent to https."""
    answer = expect(Rest(f"http://{host}:{port}"), "GET", "/auth/test", 301, "")
    return answer and f"clear requests are not sent to https: {answer}"


def judge_images(pods: Sequence[Pod], images: Mapping[str, str]) -> str:
    """See that every pod of the services runs the image that was deployed, and is ready."""
    wanted = images.get("services", "").rpartition("@sha256:")[2][:12]
    own = [pod for pod in pods if pod.workload.startswith("stamp-chat-")]
    old = sorted({pod.workload for pod in own if pod.image != wanted})
    idle = sorted({pod.workload for pod in own if not pod.ready})
    if not own:
        return "no pod of the services runs"
    if old:
        return f"{', '.join(old)} still run another image than {wanted}"
    return f"{', '.join(idle)} are not ready" if idle else ""
