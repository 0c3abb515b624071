"""See from outside that what serves is what was deployed: routes, the login's path, the websocket's, TLS, images."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from deployer.errors import DeployError
from deployer.kube import Kube, Pod
from deployer.report import Report
from deployer.rest import Rest

SECONDS = 60.0
_PAUSE = 0.5
# cert-manager renews a certificate of 90 days when 30 are left; fewer mean that a renewal has failed.
LEAST_DAYS = 14
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


def check_outside(url: str, images: Mapping[str, str], kube: Kube, report: Report, *, seconds: float = SECONDS) -> int:
    """Run every check until all hold; return how many there are.

    Args:
        url: where clients reach the deployment.
        images: the references that were deployed, by name.
        kube: the cluster.
        report: where progress goes.
        seconds: the most to wait: a rolling update's last old pod leaves after its grace period.

    Raises:
        DeployError: some do not hold in time; the message names each.
    """
    checks = outside_checks(url) | {"images": lambda: judge_images(kube.pods(), images)}
    deadline = time.monotonic() + seconds
    while problems := {name: problem for name, check in checks.items() if (problem := check())}:
        if time.monotonic() > deadline:
            raise DeployError(
                "The update went through, but what serves is not what was deployed.",
                said="\n".join(f"{name}: {problem}" for name, problem in problems.items()),
                advice="See `./stampchat status` and `./stampchat logs`; `./stampchat rollback` goes back.",
            )
        report.note(f"looking from outside: {', '.join(problems)}")
        time.sleep(_PAUSE)
    return len(checks)


def outside_checks(url: str) -> dict[str, Check]:
    """List the checks of an address by name; each returns what is wrong, or nothing."""
    checks: dict[str, Check] = {
        "login": lambda: expect(url, "POST", "/auth/login", 422, "invalid"),
        # As far as one gets without a token: the handshake has to come through the gateway whole.
        "websocket": lambda: expect(url, "GET", SOCKET, 403, "no_token", headers=HANDSHAKE),
        "internal": lambda: expect(url, "GET", "/chat/internal/users", 404, ""),
        "unknown": lambda: expect(url, "GET", "/", 404, ""),
    }
    parts = urlsplit(url)
    if parts.scheme == "https":
        host = parts.hostname or ""
        checks["certificate"] = lambda: judge_certificate(host, parts.port or 443)
        checks["redirect"] = lambda: judge_redirect(host)
    return checks


def expect(
    url: str, method: str, path: str, status: int, code: str, *, headers: Mapping[str, str] | None = None
) -> str:
    """Ask for a path and compare status and error code; a service of ours answers with both."""
    rest = Rest(url)
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


def judge_certificate(host: str, port: int) -> str:
    """Ask for the certificate as a client does, and look how long it lasts."""
    try:
        with (
            socket.create_connection((host, port), timeout=_TLS_SECONDS) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure,
        ):
            ends = ssl.cert_time_to_seconds(str((secure.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        return f"a client refuses it: {error.verify_message}"
    except OSError as error:
        return f"{host}:{port}: {error.strerror or error}"
    days = (dt.datetime.fromtimestamp(ends, dt.UTC) - dt.datetime.now(dt.UTC)).days
    return f"it ends in {days} days; see `kubectl describe certificate -A`" if days < LEAST_DAYS else ""


def judge_redirect(host: str, port: int = 80) -> str:
    """See that a clear request is sent to https."""
    answer = expect(f"http://{host}:{port}", "GET", "/auth/test", 301, "")
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
