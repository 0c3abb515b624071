"""See through the gateway that every service answers."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request

from deployer.errors import DeployError
from deployer.report import Report

# One harmless question a service; the second makes auth ask chat, so that the inner network is seen as well.
PROBES = ("/auth/test", "/auth/test-chat", "/chat/test", "/notifications/test")
_PAUSE = 0.2


def fetch_status(url: str, *, timeout: float = 3, trust: ssl.SSLContext | None = None) -> int | str:
    """Ask for a page and return its status, or why there is none.

    Args:
        url: the page.
        timeout: in seconds.
        trust: whose certificates are taken; None is whom this machine trusts.
    """
    # A proxy of this machine is not asked for what runs on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(url, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(reason) or type(error).__name__


def wait_ready(url: str, report: Report, *, seconds: float = 60, trust: ssl.SSLContext | None = None) -> None:
    """Wait until each service answers 200 through the gateway.

    Args:
        url: the gateway's.
        report: where progress goes.
        seconds: the most to wait.
        trust: whose certificates are taken; None is whom this machine trusts.

    Raises:
        DeployError: one does not in the given time; the message says what it answered last.
    """
    deadline = time.monotonic() + seconds
    waiting: dict[str, int | str] = dict.fromkeys(PROBES, "not asked yet")
    while True:
        waiting = {path: answer for path in waiting if (answer := fetch_status(url + path, trust=trust)) != 200}  # noqa: PLR2004
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise DeployError(
                f"The deployment is in place, but {url} does not answer as it should.",
                said="\n".join(f"GET {path}: {answer}" for path, answer in waiting.items()),
                advice="See `./stampchat status`, and `./stampchat logs` with the service's name.",
            )
        report.note("waiting for " + ", ".join(waiting))
        time.sleep(_PAUSE)
