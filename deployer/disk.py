"""Know how much disk `up` takes, and whether it is there."""

from __future__ import annotations

import shutil
from pathlib import Path

from deployer.errors import DeployError

GIB = 1024**3
# Measured: a cache filled by one cold `up` is 7.6 GiB, the Go caches nearly all of it.
COLD_DISK = 9 * GIB
# With everything in the cache: images in the cluster's store, databases, logs.
WARM_DISK = 1 * GIB


def free_disk(folder: Path) -> int:
    """Return the free bytes of the file system that a folder lies on, or will lie on.

    Args:
        folder: it need not exist.
    """
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def check_disk(folder: Path, needed: int, purpose: str) -> int:
    """See that a folder's file system has room.

    Returns:
        The free bytes.

    Raises:
        DeployError: it has not.
    """
    free = free_disk(folder)
    if free < needed:
        raise DeployError(
            f"{folder} has {free / GIB:.1f} GiB free; {purpose} need {needed / GIB:.0f} GiB.",
            advice="Make room, or move the folder: STAMPCHAT_CACHE for builds, STAMPCHAT_HOME for the rest.",
        )
    return free
