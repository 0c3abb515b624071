"""Refuse, before anything changed, what this machine cannot do."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from deployer.errors import DeployError

# etcd, images, logs and a few small databases; a cluster that fills the disk stops in ugly ways.
_DATA_SPACE = 2 << 30

_ELSEWHERE = "or name a cluster that runs elsewhere"


def check_machine(home: Path) -> None:
    """Check that an embedded cluster can run here and that its disk has room.

    Args:
        home: where the cluster keeps its data.

    Raises:
        DeployError: not Linux, not root, no `ip`, or too little disk.
    """
    if platform.system() != "Linux":
        raise DeployError(
            f"An embedded cluster needs Linux, and this is {platform.system()}.",
            advice=f"Use a Linux machine (a virtual one will do), {_ELSEWHERE}.",
        )
    if os.geteuid() != 0:
        raise DeployError(
            "An embedded cluster needs root, for namespaces, mounts and cgroups of its own.",
            advice=f"Run this as root (`sudo`), {_ELSEWHERE}.",
        )
    if shutil.which("ip") is None:
        raise DeployError(
            "An embedded cluster needs the program `ip`, and it is not on PATH.",
            advice="Install the Debian package `iproute2` and run this again.",
        )
    check_space(home, _DATA_SPACE, "for the cluster's data")


def check_space(path: Path, needed: int, purpose: str) -> None:
    """Check that there is room on the disk that a path lies on, or will lie on.

    Args:
        path: where the room is needed.
        needed: bytes.
        purpose: what for, after the word "needed".

    Raises:
        DeployError: there is too little.
    """
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DeployError(
            f"{needed / 2**30:.0f} GiB of free disk are needed {purpose} in {path}, and there are "
            f"{free / 2**30:.1f} GiB.",
            advice="Free some space, or move the folder with STAMPCHAT_HOME or STAMPCHAT_CACHE, and run this again.",
        )
