"""Say how a phone on the same network reaches the gateway: the address, a picture of it, the firewall, the app."""

from __future__ import annotations

import io
import os
import shutil
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress

# ioctl(2) on a socket: the IPv4 address of an interface (linux/sockios.h).
_SIOCGIFADDR = 0x8915
# Bridges and links of containers and clusters: no phone is on them.
_INNER = ("lo", "docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "podman", "lxc", "sc-")
_FIREWALLS = (
    ("ufw", "sudo ufw allow {port}/tcp"),
    ("firewall-cmd", "sudo firewall-cmd --add-port={port}/tcp"),
    ("nft", "sudo nft insert rule inet filter input tcp dport {port} accept"),
    ("iptables", "sudo iptables -I INPUT -p tcp --dport {port} -j ACCEPT"),
)
# Not on an ordinary user's PATH everywhere.
_SYSTEM = "/usr/sbin:/sbin:/usr/local/sbin"


def find_addresses() -> list[str]:
    """Return this machine's IPv4 addresses that others may reach; that of its way out comes first."""
    found = [address for name, address in _interfaces() if not name.startswith(_INNER)]
    found = [address for address in found if not address.startswith(("127.", "169.254."))]
    out = _way_out()
    return [out, *(each for each in found if each != out)] if out else found


def lan_lines(port: int, addresses: Sequence[str], *, picture: bool) -> list[str]:
    """Return what a person has to know to come in from another machine.

    Args:
        port: the gateway's.
        addresses: this machine's.
        picture: whether a QR code can be shown.
    """
    if not addresses:
        return ["", "  LAN       this machine has no address but its own loopback; connect it to a network"]
    urls = [f"http://{address}:{port}" for address in addresses]
    lines = ["", f"  LAN       {urls[0]}        from a phone or another machine on the same network"]
    lines += [f"  or        {url}" for url in urls[1:]]
    if picture:
        # Light on dark, whatever the terminal's own colours: not every camera reads the negative.
        lines += ["", *(f"            \033[97;40m{line}\033[0m" for line in qr_code(f"{urls[0]}/auth/test"))]
        lines.append('            scanned by the phone, it opens a page that says {"status": "auth ok"}')
    lines += [
        f"  Firewall  TCP port {port} of this machine has to be let in; nothing else",
        *(f"              {command}" for command in firewall_commands(port)),
        "  App       its address is compiled in: build your own, with this one in its line of lib/services/Api.dart",
        f"              {urls[0]}        http needs a permission on Android and iOS: docs/app.md",
        "  Note      anyone on the network may log in by any name, and nothing is encrypted: use networks you trust",
    ]
    return lines


def firewall_commands(port: int) -> list[str]:
    """Return the commands that let a port in, for the firewall tools that this machine has.

    ufw and firewalld manage the rules of nftables and iptables, so where one of them is, it alone is named.
    """
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM}"
    found = [command.format(port=port) for tool, command in _FIREWALLS if shutil.which(tool, path=path)]
    return found[:1] or ["(no firewall tool was found on this machine; one between it and the phone may be)"]


def qr_code(text: str) -> list[str]:
    """Draw a QR code with half blocks."""
    import segno

    drawn = io.StringIO()
    segno.make(text, micro=False).terminal(drawn, border=2, compact=True)
    return drawn.getvalue().splitlines()


def _interfaces() -> list[tuple[str, str]]:
    if sys.platform != "linux":
        return []
    import fcntl

    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            # An interface that is down has no address.
            with suppress(OSError):
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                found.append((name, socket.inet_ntoa(answer[20:24])))
    return found


def _way_out() -> str:
    """Return the address of the default route's interface; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # An address of the documentation (RFC 5737): nobody's.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
