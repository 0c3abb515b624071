"""Keep the cgroup of one cluster, on version 1, version 2 and both at once.

NAME/box holds the cluster's own programs and NAME/kubepods, which the kubelet makes, its Pods.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployError

_LEAF = "box"
_MOUNTS = Path("/proc/self/mountinfo")
_CPU_SETS = ("cpuset.cpus", "cpuset.mems")
_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")


@dataclass(frozen=True)
class Hierarchy:
    """Name one mounted tree of cgroups.

    Attributes:
        path: where it is mounted.
        controllers: version 1's controllers of this tree; empty for version 2.
        unified: whether it is version 2.
    """

    path: Path
    controllers: frozenset[str]
    unified: bool


def hierarchies(mounts: Path = _MOUNTS) -> list[Hierarchy]:
    """List the trees of cgroups, each once; on another system than Linux there are none.

    Args:
        mounts: the kernel's list of mounts.
    """
    if not mounts.exists():
        return []
    found: dict[Path, Hierarchy] = {}
    for line in mounts.read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            path = Path(left.split(" ")[4])
            found[path] = Hierarchy(path, frozenset(options.split(",")), unified=kind == "cgroup2")
    return list(found.values())


def make_cgroup(name: str) -> list[Path]:
    """Make a cluster's cgroup in every tree.

    Args:
        name: the cluster's.

    Returns:
        The folders that the cluster's own programs belong in.

    Raises:
        DeployError: there are no cgroups here, or they may not be changed.
    """
    trees = hierarchies()
    if not trees:
        raise DeployError(
            "An embedded cluster needs cgroups, and none are mounted on this machine.",
            advice="Mount them (systemd does), or name a cluster that runs elsewhere.",
        )
    try:
        return [_make(tree, name, alone=len(trees) == 1) for tree in trees]
    except OSError as error:
        raise DeployError(
            f"The cgroup of {name} could not be made.",
            said=str(error),
            advice="In a container, cgroups must be writable (`--privileged`). Or name a cluster that runs elsewhere.",
        ) from error


def _make(tree: Hierarchy, name: str, *, alone: bool) -> Path:
    leaf = tree.path / name / _LEAF
    leaf.mkdir(parents=True, exist_ok=True)
    if "cpuset" in tree.controllers:  # version 1: a new group has no processor, so nothing may enter
        for folder in (leaf.parent, leaf):
            for file in _CPU_SETS:
                (folder / file).write_text((folder.parent / file).read_text(encoding="utf-8"), encoding="utf-8")
    if tree.unified and alone:  # version 2: the kubelet sets limits below NAME
        for folder in (tree.path, leaf.parent):
            _enable(folder)
    return leaf


def _enable(folder: Path) -> None:
    available = (folder / "cgroup.controllers").read_text(encoding="utf-8").split()
    wanted = " ".join(f"+{name}" for name in _CONTROLLERS if name in available)
    (folder / "cgroup.subtree_control").write_text(wanted, encoding="utf-8")


def members(name: str) -> set[int]:
    """Return every process of a cluster: its own programs and what runs in its Pods."""
    found: set[int] = set()
    for folder in _folders(name):
        found |= _processes(folder)
    return found


def programs(name: str) -> set[int]:
    """Return the processes that are the cluster's own."""
    return {pid for tree in hierarchies() for pid in _processes(tree.path / name / _LEAF)}


def remove_cgroup(name: str, *, patience: float = 10.0) -> None:
    """Remove a cluster's cgroup from every tree, once its last process is gone.

    Args:
        name: the cluster's.
        patience: seconds to wait for dying processes.

    Raises:
        DeployError: something in it does not die.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            for folder in _folders(name):
                folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError as error:  # busy: the kernel is still taking its processes away
            if time.monotonic() > deadline:
                raise DeployError(
                    f"The cgroup of {name} could not be removed.",
                    said=f"{error}\nprocesses: {sorted(members(name))}",
                    advice="End these processes, then run this again.",
                ) from error
            time.sleep(0.02)
        else:
            return


def memory(name: str, *, own: bool = False) -> int:
    """Return the bytes of memory that a cluster uses, without the page cache.

    Args:
        name: the cluster's.
        own: whether to count its own programs alone, without the Pods.
    """
    for tree in hierarchies():
        try:
            lines = (_counted(tree, name, own=own) / "memory.stat").read_text(encoding="utf-8").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            continue
        stat = dict(line.split() for line in lines)
        return int(stat.get("total_rss", stat.get("anon", "0")))
    return 0


def cpu_seconds(name: str, *, own: bool = False) -> float:
    """Return the processor time that a cluster has used since its box was made.

    Args:
        name: the cluster's.
        own: whether to count its own programs alone, without the Pods.
    """
    for tree in hierarchies():
        folder = _counted(tree, name, own=own)
        with contextlib.suppress(OSError, LookupError):
            if "cpuacct" in tree.controllers:
                return int((folder / "cpuacct.usage").read_text(encoding="utf-8")) / 1e9
            lines = (folder / "cpu.stat").read_text(encoding="utf-8").splitlines()
            return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6
    return 0.0


def _counted(tree: Hierarchy, name: str, *, own: bool) -> Path:
    return tree.path / name / _LEAF if own else tree.path / name


def _folders(name: str) -> Iterator[Path]:
    """Yield a cluster's cgroups in every tree, children before parents."""
    for tree in hierarchies():
        top = tree.path / name
        if top.is_dir():
            inner = [path for path in top.rglob("*") if path.is_dir()]
            yield from sorted(inner, key=lambda path: -len(path.parts))
            yield top


def _processes(folder: Path) -> set[int]:
    try:
        return {int(pid) for pid in (folder / "cgroup.procs").read_text(encoding="utf-8").split()}
    except (FileNotFoundError, OSError):
        return set()
