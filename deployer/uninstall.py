"""Take away everything that our commands have made on this machine."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deployer import cluster, local
from deployer.cluster.instance import stored_instance
from deployer.errors import UsageError
from deployer.steps import Display, Step, run_steps
from deployer.workspace import Workspace

# What our messages tell people to install; we install none.
PACKAGES = ("python3-venv", "iproute2", "golang-go")

# How many words stand before the specification's in the command of a box's first process: "box init box.making.json".
_BOX_WORDS = 2


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
            said="\n".join(f"the cluster of {home}" for home in others),
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


def other_clusters(workspace: Workspace) -> list[str]:
    """List the homes of clusters that run from this cache and are not this checkout's."""
    folders = set()
    for command in _commands().values():
        # As deployer/cluster/embedded/box.py starts it: the program, what it is to do, and what of.
        if len(command) > _BOX_WORDS and Path(command[0]).parent == workspace.cache / "cluster":
            folders.add(Path(command[_BOX_WORDS]).parent)
    return sorted(str(folder.parent) for folder in folders - {workspace.cluster})


def programs_from(folder: Path) -> list[str]:
    """List the processes of this machine whose program lies in a folder; this one is not among them."""
    found = []
    for pid, command in _commands().items():
        # By its words, since of an environment's Python only they lie there; and by what it runs, since it has no
        # words for a moment while it begins, and some change theirs.
        inside = [program for program in (command[0], _executable(pid)) if folder in Path(program).parents]
        if inside and pid != os.getpid():
            found.append(f"process {pid} ({inside[0]})")
    return found


def _executable(pid: int) -> str:
    """Return what a process runs; nothing where it is another user's or gone."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return ""


def _commands() -> dict[int, list[str]]:
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found[int(entry.parent.name)] = entry.read_bytes().decode(errors="replace").split("\0")
    return found


def folder_size(folder: Path) -> int:
    """Add up the sizes of a folder's files."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
