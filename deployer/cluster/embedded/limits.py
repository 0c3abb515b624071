"""Know what this machine lets us do."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

_SYS_RESOURCE = 24
# Where no limit can be raised, what a container may open is what we may open.
_MOST_OPEN_FILES = 20000


@dataclass(frozen=True)
class Limits:
    """Say what the programs in the box may do.

    Attributes:
        may_raise: whether limits may be raised and OOM scores lowered (CAP_SYS_RESOURCE).
        open_files: how many files a program may open where limits may not be raised.
    """

    may_raise: bool
    open_files: int


def read_limits(status: Path = Path("/proc/self/status")) -> Limits:
    """Read this process's own limits, which everything that it starts inherits.

    Args:
        status: the kernel's account of the process.
    """
    lines = status.read_text(encoding="utf-8").splitlines()
    effective = next(line for line in lines if line.startswith("CapEff:")).split()[1]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_OPEN_FILES)
    return Limits(may_raise=bool(int(effective, 16) >> _SYS_RESOURCE & 1), open_files=most)
