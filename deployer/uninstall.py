"""Take away everything that our commands have made on this machine."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deployer import cluster, local
from deployer.cluster.instance import number_free, stored_instance
from deployer.errors import UsageError
from deployer.steps import Display, Step, run_steps
from deployer.workspace import Workspace

# What our messages tell people to install; we install none.
PACKAGES = ("python3-venv", "iproute2", "golang-go")


@dataclass(frozen=True)
class Removal:
    """What was removed, and how large it was."""

    path: Path
    size: int


def plan_removal(workspace: Workspace, *, keep_cache: bool) -> list[Path]:
    """List the folders that go."""
    paths = [workspace.home, *local.leftovers(workspace), *([] if keep_cache else [workspace.cache])]
    return [path for path in paths if path.exists()]


def describe_cluster(workspace: Workspace) -> list[str]:
    """Name what a cluster has on this machine besides its files; nothing where none was ever made.

    Args:
        workspace: the checkout.
    """
    instance = stored_instance(workspace)
    if instance is None:
        return []
    if instance.ground == "context":
        return [f"the note that stack dev is on the cluster of context {instance.context}; what is in it stays"]
    if instance.ground != "embedded":
        return [f"the {instance.ground} cluster {instance.name} in Docker, with its volumes"]
    if not cluster.status(workspace).running:
        return []
    link = f"sc-{instance.name.removeprefix('stampchat-')}"
    inside = f"the cluster {instance.name}: its processes, namespaces and cgroups, the link {link}"
    return [f"{inside} (10.231.{instance.number}.1), and what listens on port {instance.port}"]


def uninstall(workspace: Workspace, display: Display, *, keep_cache: bool) -> list[Removal]:
    """Stop the cluster and remove its data, this checkout's state and the cache.

    Args:
        workspace: the checkout.
        display: where progress goes.
        keep_cache: leave downloads and builds, which other checkouts use too.

    Raises:
        UsageError: `local` runs here, or another checkout's cluster or `local` runs from the cache.
    """
    if running := local.find_running(workspace):
        raise UsageError(
            f"`./stampchat local` runs in this checkout (process {running.pid}).",
            advice="Nothing was removed. End it with Ctrl-C where it runs.",
        )
    if not keep_cache and (programs := programs_from(workspace.cache / "local")):
        raise UsageError(
            f"Another checkout's `local` runs from {workspace.cache}, which would be taken away under it.",
            said="\n".join(programs),
            advice="Nothing was removed. End it there with Ctrl-C first, or give --keep-cache.",
        )
    if not keep_cache and (others := other_clusters(workspace)):
        count = (
            "Another checkout's cluster runs" if len(others) == 1 else f"{len(others)} other checkouts' clusters run"
        )
        raise UsageError(
            f"{count} from {workspace.cache}, which would be taken away under it.",
            said="\n".join(f"the cluster at 10.231.{number}.2" for number in others),
            advice="Nothing was removed. Stop it with `./stampchat cluster down` there first, or give --keep-cache.",
        )
    removed: list[Removal] = []

    def stop(report: Display) -> str:
        if not keep_cache:
            cluster.end_extras(workspace)
        cluster.down(workspace, purge=True, report=report)
        return "gone"

    def remove(report: Display) -> str:
        for path in plan_removal(workspace, keep_cache=keep_cache):
            report.note(f"removing {path}")
            size = folder_size(path)
            shutil.rmtree(path)
            removed.append(Removal(path, size))
        local.forget_system_folder()
        return ", ".join(str(removal.path) for removal in removed) or "nothing to remove"

    run_steps([Step("cluster", "stop the cluster", stop), Step("files", "remove what was made", remove)], display)
    return removed


def other_clusters(workspace: Workspace) -> list[int]:
    """List the network numbers of clusters that run on this machine and are not this checkout's."""
    own = stored_instance(workspace)
    return [number for number in range(1, 255) if (own is None or number != own.number) and not number_free(number)]


def programs_from(folder: Path) -> list[str]:
    """List the processes of this machine whose program lies in a folder; this one is not among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            program = entry.read_bytes().split(b"\0", 1)[0].decode(errors="replace")
            if folder in Path(program).parents and int(entry.parent.name) != os.getpid():
                found.append(f"process {entry.parent.name} ({program})")
    return found


def folder_size(folder: Path) -> int:
    """Add up the sizes of a folder's files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
