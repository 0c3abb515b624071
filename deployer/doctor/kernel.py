"""Ask the kernel for what the box is made of, by making it: in namespaces that end with the process that asked."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deployer.cluster.embedded.cgroups import hierarchies
from deployer.doctor.model import Finding

_SECONDS = 20
_NEEDED = frozenset({"cpu", "memory", "pids"})
_LIMIT = "fs.inotify.max_user_instances"
_INSTANCES = Path("/proc/sys") / _LIMIT.replace(".", "/")
_OF_A_CLUSTER = 20
_PROBE = Path(__file__).with_name("probe.py")
_IN_A_CONTAINER = "In a container, give it all rights (`--privileged`); elsewhere use another kernel."
_WHAT = {
    "namespaces": ("namespaces", "network, mount, pid, ipc and uts"),
    "veth": ("veth links", "between namespaces"),
    "overlay": ("overlayfs", "for the containers' disks"),
    "nftables": ("nftables", "for Services and policies"),
}


def examine_kernel() -> Iterator[Finding]:
    """Yield what the kernel can do; nothing where there is no Linux, or where we may not ask."""
    if platform.system() != "Linux":
        return
    yield _cgroups()
    yield _watches()
    answers = ask_kernel()
    if "root" in answers:
        yield Finding("kernel", "features", "note", f"not asked: {answers['root']}", "Run this as root to ask.")
        return
    for key, (name, purpose) in _WHAT.items():
        problem = answers.get(key, "not asked, as the one before it failed")
        if problem:
            yield Finding("kernel", name, "missing", problem, _IN_A_CONTAINER)
        else:
            yield Finding("kernel", name, "ok", purpose)


def ask_kernel() -> dict[str, str]:
    """Return what is wrong with each feature, "" where nothing is; `root` where we may not ask."""
    command = [sys.executable, "-I", str(_PROBE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        answers: dict[str, str] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, OSError, ValueError) as error:
        return {"namespaces": f"the kernel could not be asked ({error})"}
    return answers


def _cgroups() -> Finding:
    trees = hierarchies()
    if not trees:
        advice = "Mount them, as systemd does; in a container, `--privileged` and `--cgroupns=host` do."
        return Finding("kernel", "cgroups", "missing", "none are mounted", advice)
    unified = [tree for tree in trees if tree.unified]
    legacy = frozenset().union(*(tree.controllers for tree in trees if not tree.unified))
    has = legacy | (frozenset(_read(unified[0].path / "cgroup.controllers").split()) if unified else frozenset())
    version = "1 and 2" if unified and len(trees) > 1 else "2" if unified else "1"
    if lacks := sorted(_NEEDED - has):
        advice = "Boot with these controllers on (`cgroup_enable=memory`), or give the container its cgroups."
        return Finding("kernel", "cgroups", "missing", f"version {version} without {', '.join(lacks)}", advice)
    return Finding("kernel", "cgroups", "ok", f"version {version}")


def _watches() -> Finding:
    limit, used = int(_read(_INSTANCES) or 0), count_watchers()
    said = f"{used} of {limit} inotify instances are in use, and a cluster takes about {_OF_A_CLUSTER}"
    if limit - used >= _OF_A_CLUSTER:
        return Finding("kernel", "file watches", "ok", said)
    return Finding(
        "kernel", "file watches", "note", said, f"`sysctl -w {_LIMIT}=1024`, or end another cluster: it may not start."
    )


def count_watchers(proc: Path = Path("/proc")) -> int:
    """Return how many inotify instances this user's processes hold, as far as they may be seen.

    Args:
        proc: the kernel's account of processes.
    """
    count = 0
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if process.stat().st_uid != os.geteuid():
                continue
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    count += str(descriptor.readlink()) == "anon_inode:inotify"
    return count


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
