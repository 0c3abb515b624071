"""Look at the machine itself: system, rights, memory, disk, and the port that the gateway is to answer at."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from deployer.cluster.instance import stored_instance
from deployer.cluster.model import Ground
from deployer.disk import COLD_DISK, GIB, WARM_DISK, free_disk
from deployer.doctor.model import Finding
from deployer.errors import UsageError
from deployer.ports import find_holders, port_free
from deployer.versions import machine_arch
from deployer.workspace import Workspace

# A running cluster with all of stack dev and its images takes under 2 GiB; compilers take the rest.
WARM_MEMORY = 2 * GIB
COLD_MEMORY = 4 * GIB
_PORT = 8080
ELSEWHERE = (
    "Use a cluster that runs elsewhere: `./stampchat up --cluster kind` or `k3d` where Docker runs, `--cluster "
    "CONTEXT` for one of your kubeconfig; without any, `./stampchat local`."
)


def examine_machine(workspace: Workspace, *, cold: bool, ground: Ground = "embedded") -> Iterator[Finding]:
    """Yield what the machine is.

    Args:
        workspace: where state and cache lie.
        cold: whether something has yet to be built.
        ground: what makes the cluster; only the embedded one asks for a system and for rights.
    """
    yield _system(ground)
    yield _processor()
    if platform.system() == "Linux":
        yield _rights(ground)
        yield _memory(COLD_MEMORY if cold else WARM_MEMORY)
    yield from _disk(workspace, cold=cold)
    if platform.system() == "Linux" and ground != "context":
        yield _port(workspace, ground)


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return how many bytes can be had without swapping.

    Args:
        meminfo: the kernel's account.
    """
    lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def _system(ground: Ground) -> Finding:
    system = f"{platform.system()} {platform.release()}"
    if platform.system() == "Linux" or ground != "embedded":
        return Finding("machine", "system", "ok", system)
    return Finding("machine", "system", "missing", f"{system}; the embedded cluster needs Linux", ELSEWHERE)


def _processor() -> Finding:
    try:
        return Finding("machine", "processor", "ok", f"{machine_arch()}, {os.cpu_count() or 1} cores")
    except UsageError as error:
        return Finding("machine", "processor", "missing", error.what, error.advice)


def _rights(ground: Ground) -> Finding:
    if os.geteuid() == 0:
        return Finding("machine", "rights", "ok", "root")
    if ground != "embedded":
        return Finding("machine", "rights", "ok", "not root; only an embedded cluster needs it")
    said = "not root; the embedded cluster makes namespaces, mounts and a network link"
    return Finding("machine", "rights", "missing", said, f"`sudo ./stampchat up`. {ELSEWHERE}")


def _memory(needed: int) -> Finding:
    free = available_memory()
    said = f"{free / GIB:.1f} GiB available of {needed / GIB:.0f} wanted"
    if free >= needed:
        return Finding("machine", "memory", "ok", said)
    return Finding("machine", "memory", "note", said, "End something, or add swap: `up` may be slow, or be ended.")


def _disk(workspace: Workspace, *, cold: bool) -> Iterator[Finding]:
    # Where both lie on one file system, `up` takes both from it.
    needs = {workspace.cache: COLD_DISK if cold else WARM_DISK, workspace.home: WARM_DISK}
    variables = {workspace.cache: "STAMPCHAT_CACHE", workspace.home: "STAMPCHAT_HOME"}
    for (folder, needed), name in zip(needs.items(), ("disk of the cache", "disk of the state"), strict=True):
        free = free_disk(folder)
        said = f"{free / GIB:.0f} GiB free of {needed / GIB:.0f} needed in {folder}"
        if free >= needed:
            yield Finding("machine", name, "ok", said)
        else:
            remedy = f"Make room, or move it: {variables[folder]}=/a/larger/disk ./stampchat up"
            yield Finding("machine", name, "missing", said, remedy)


def _port(workspace: Workspace, ground: Ground) -> Finding:
    instance = stored_instance(workspace)
    port = instance.port if instance else _PORT
    if instance and ground != "embedded" and instance.ground == ground:
        # Whoever holds it is Docker, for the cluster that was made.
        return Finding("machine", "port", "ok", f"{port}, which the cluster of {ground} was made for")
    holders = find_holders(port)
    if any(holder.is_box for holder in holders):
        ours = any(str(workspace.cluster) in argument for holder in holders for argument in holder.command)
        said = f"{port}, this checkout's cluster answers there" if ours else f"{port} is another checkout's"
        remedy = "" if ours else "`up` takes the next one that is free."
        return Finding("machine", "port", "ok" if ours else "note", said, remedy)
    if port_free(port):
        return Finding("machine", "port", "ok", f"{port} is free")
    who = ", ".join(map(str, holders)) or "a process outside this container"
    return Finding("machine", "port", "missing", f"{port} is taken by {who}", "End it, or `./stampchat up --port 8081`")
