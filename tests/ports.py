"""Find ports of this machine that tests may use."""

from __future__ import annotations

import random
import socket
import sys

# Below where Linux takes the ports of outgoing connections from (32768), and below the node ports of clusters (30000):
# nothing else is given one of these between the moment in which it is chosen and that in which a test listens on it.
_FIRST, _LAST = 15_000, 29_999


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, and that no other process of tests is given meanwhile."""
    if sys.platform != "linux":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])
    while True:
        port = random.randint(_FIRST, _LAST)  # noqa: S311  # no secret
        if _claimed(port) and _is_free(port):
            return port


def _claimed(port: int) -> bool:
    """Take a port for this process as long as it lives, against others that run tests at the same time."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # An abstract name: the kernel gives it to one alone, and takes it back when its holder ends.
        claim.bind(f"\0stampchat-test-port-{port}")
    except OSError:
        claim.close()
        return False
    claim.detach()
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # What closed a moment ago holds nobody up; what listens does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
