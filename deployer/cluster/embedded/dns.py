"""Ask a name server one question, to know that it answers."""

from __future__ import annotations

import socket
import struct

from deployer.cluster.embedded.box import socket_inside
from deployer.cluster.embedded.layout import DNS_ADDRESS, DOMAIN

_QUESTION_ID = 0x5C
_RECURSION_DESIRED = 0x0100
_A, _IN = 1, 1
_RCODE = 0x000F


def dns_answers(init: int, *, timeout: float = 0.5) -> bool:
    """Return whether the cluster's DNS, through its Service, knows the API server's name.

    Args:
        init: the first process of the box: the question is asked inside its network, where Pods ask.
        timeout: seconds to wait for the answer.
    """
    try:
        with socket_inside(init, socket.SOCK_DGRAM) as asking:
            asking.settimeout(timeout)
            asking.connect((DNS_ADDRESS, 53))
            asking.send(_question(f"kubernetes.default.svc.{DOMAIN}"))
            answer = asking.recv(512)
    except OSError:
        return False
    identity, flags, _, answers = struct.unpack("!HHHH", answer[:8])
    return identity == _QUESTION_ID and not flags & _RCODE and answers > 0


def _question(name: str) -> bytes:
    """Write a query for a name's IPv4 address (RFC 1035, section 4)."""
    header = struct.pack("!HHHHHH", _QUESTION_ID, _RECURSION_DESIRED, 1, 0, 0, 0)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return header + labels + b"\0" + struct.pack("!HH", _A, _IN)
