"""Take away everything that our commands have made on this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from deployer import cluster
from deployer.steps import Display, Step, run_steps
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Removal:
    """What was removed, and how large it was."""

    path: Path
    size: int


def plan_removal(workspace: Workspace, *, keep_cache: bool) -> list[Path]:
    """List the folders that go."""
    paths = [workspace.home] if keep_cache else [workspace.home, workspace.cache]
    return [path for path in paths if path.exists()]


def uninstall(workspace: Workspace, display: Display, *, keep_cache: bool) -> list[Removal]:
    """Stop the cluster and remove its data, this checkout's state and the cache.

    Args:
        workspace: the checkout.
        display: where progress goes.
        keep_cache: leave downloads and builds, which other checkouts use too.
    """
    removed: list[Removal] = []

    def stop(report: Display) -> str:
        cluster.down(workspace, purge=True, report=report)
        return "gone"

    def remove(report: Display) -> str:
        for path in plan_removal(workspace, keep_cache=keep_cache):
            report.note(f"removing {path}")
            size = folder_size(path)
            shutil.rmtree(path)
            removed.append(Removal(path, size))
        return ", ".join(str(removal.path) for removal in removed) or "nothing to remove"

    run_steps([Step("cluster", "stop the cluster", stop), Step("files", "remove what was made", remove)], display)
    return removed


def folder_size(folder: Path) -> int:
    """Add up the sizes of a folder's files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
