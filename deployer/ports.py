"""Know who listens on a port of this machine."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import UsageError

_LISTEN = "0A"
# How long the kernel may take to end the processes of a killed box.
_DYING = 5.0
# Loopback and every address, as the kernel writes them (little-endian words), of IPv4 and IPv6.
_REACHED_BY_LOOPBACK = ("0100007F", "00000000", "0" * 32, "0" * 24 + "01000000", "0000000000000000FFFF00000100007F")


@dataclass(frozen=True)
class Holder:
    """Name a process that listens on a port.

    Attributes:
        pid: its number.
        command: its command line.
    """

    pid: int
    command: tuple[str, ...]

    @property
    def is_box(self) -> bool:
        """Whether it is the first process of a cluster of ours."""
        return len(self.command) > 1 and Path(self.command[0]).name.startswith("box-") and self.command[1] == "init"

    @property
    def is_remnant(self) -> bool:
        """Whether it is what is left for a moment of a box that was killed."""
        return not self.command or Path(self.command[0]).name.startswith("forward-")

    def __str__(self) -> str:
        return f"process {self.pid} ({' '.join(self.command)[:80]})"


def find_holders(port: int) -> list[Holder]:
    """Return every process that holds a socket listening on a port of 127.0.0.1.

    Args:
        port: its number.
    """
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    if not wanted:
        return []
    return [Holder(pid, _command(pid)) for pid in _processes() if wanted & _open_files(pid)]


def port_free(port: int) -> bool:
    """Return whether nobody listens on a port of 127.0.0.1, or nobody will in a moment."""
    deadline = time.monotonic() + _DYING
    while _listening(port):
        if not all(holder.is_remnant for holder in find_holders(port)) or time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def port_taken(port: int) -> UsageError:
    """Say who holds a port, and how to take another."""
    holders = find_holders(port)
    who = ", ".join(str(holder) for holder in holders) or "a process outside this container"
    return UsageError(
        f"Port {port} of this machine is taken by {who}.",
        advice="End it, or choose another port: `--port 8081`.",
    )


def _listening(port: int) -> set[str]:
    """Return the inodes of the sockets that listen where a client of 127.0.0.1:PORT would arrive."""
    inodes: set[str] = set()
    mark = f":{port:04X} "
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(table).read_text(encoding="utf-8").splitlines()[1:]:
                if mark not in line:  # most are of connections, of which there may be thousands
                    continue
                fields = line.split()
                address, _, held = fields[1].partition(":")
                if fields[3] == _LISTEN and int(held, 16) == port and address in _REACHED_BY_LOOPBACK:
                    inodes.add(fields[9])
    return inodes


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _open_files(pid: int) -> set[str]:
    found: set[str] = set()
    folder = f"/proc/{pid}/fd"
    # Thousands of files, at every start: pathlib takes three times as long.
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(folder):  # noqa: PTH208
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"{folder}/{descriptor}"))  # noqa: PTH115
    return found


def _command(pid: int) -> tuple[str, ...]:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.rstrip("\0").split("\0"))
