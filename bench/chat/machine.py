"""Read from /proc what processes and the machine use."""

from __future__ import annotations

import os
import platform
import resource
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def family(pid: int) -> set[int]:
    """Return a process and all that it started, at any depth."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                children[int(_fields(int(entry.name))[1])].append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children[pid]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU that a process and its children used so far."""
    ticks = 0
    for member in family(pid):
        with suppress(OSError):
            fields = _fields(member)
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICK


def resident_kib(pid: int) -> int:
    """Return the memory that a process holds."""
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def busy_seconds() -> float:
    """Return the CPU that the whole machine used so far: everything but idle and waiting for a disk."""
    fields = [int(field) for field in (_PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICK


def listen_drops() -> int:
    """Return how many connections the kernel has turned away so far since a server did not take them in time."""
    names, values = [line.split() for line in (_PROC / "net" / "netstat").read_text().splitlines()[:2]]
    return int(values[names.index("ListenDrops")])


def raise_file_limit() -> None:
    """Let this process open as many files and sockets as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def describe(versions: Iterable[str]) -> str:
    """Name the machine and what ran on it."""
    info = (_PROC / "cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")), "")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    parts = [
        f"{os.cpu_count()} x {model or platform.machine()}",
        f"{pages / (1 << 30):.0f} GiB",
        f"Linux {platform.release()}",
        f"Python {platform.python_version()}",
        *versions,
    ]
    return ", ".join(parts)


def _fields(pid: int) -> list[str]:
    # The name in brackets may hold anything, a space or a bracket too.
    return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
