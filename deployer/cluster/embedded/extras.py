"""Build what a cluster does without until it is there, after all that `up` needs and without making it wait.

The box knows these programs from its start: each runs as soon as its file is in the cache, whoever put it there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.cluster.embedded.builds import Program, build, place
from deployer.cluster.model import Instance
from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive
from deployer.fetch.attempts import failed_lately, remember_failure
from deployer.report import Report
from deployer.workspace import ROOT, Workspace

# Go's caches are warm from Kubernetes by then.
_SPACE = 2 << 30
_PATIENCE = 10.0


@dataclass(frozen=True)
class Extra:
    """Name a program that a cluster may lack.

    Attributes:
        name: its component's and its file's.
        choice: the attribute of an `Instance` that says whether a cluster is to have it.
        without: what a cluster that lacks it does not do, as a sentence goes on after "until then".
        program: what it is built from.
    """

    name: str
    choice: str
    without: str
    program: Program


METRICS_SERVER = Extra(
    "metrics-server",
    "metrics",
    "nobody knows what Pods use",
    Program(
        "metrics-server (about 2 minutes the first time)",
        "sigs.k8s.io/metrics-server/cmd/metrics-server",
        module="metrics-server",
        space=_SPACE,
    ),
)
KUBE_ROUTER = Extra(
    "kube-router",
    "policies",
    "network policies do not hold",
    Program(
        "kube-router (about 2 minutes the first time)",
        "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
        module="kube-router",
        space=_SPACE,
    ),
)
EXTRAS = (METRICS_SERVER, KUBE_ROUTER)


def chosen(instance: Instance) -> list[Extra]:
    """List what a cluster is to have."""
    return [extra for extra in EXTRAS if getattr(instance, extra.choice)]


def missing(workspace: Workspace, instance: Instance) -> list[Extra]:
    """List what a cluster is to have and the cache lacks."""
    return [extra for extra in chosen(instance) if not _place(workspace, extra).exists()]


def file_names(workspace: Workspace, instance: Instance) -> dict[str, str]:
    """Return the file name of each program that a cluster is to have, built or not."""
    return {extra.name: _place(workspace, extra).name for extra in chosen(instance)}


def built_files(workspace: Workspace) -> list[Path]:
    """Return the programs of these that are in the cache."""
    return [path for extra in EXTRAS if (path := _place(workspace, extra)).exists()]


def build_extras(workspace: Workspace, extras: Sequence[Extra], report: Report) -> None:
    """Build programs, one after the other; one that fails keeps no other from being built.

    Args:
        workspace: whose cache.
        extras: which.
        report: where progress goes.

    Raises:
        DeployError: builds failed; of several, the first.
    """
    failures = []
    if is_building(workspace):
        report.note("waiting for the build that is under way")
    with exclusive(_lock(workspace)):
        _pid(workspace).write_text(str(os.getpid()), encoding="utf-8")
        for extra in extras:
            try:
                build(extra.name, extra.program, workspace, report)
            except DeployError as error:
                remember_failure(workspace.cache, _attempt(workspace, extra), str(error))
                failures.append(error)
    if failures:
        raise failures[0]


def begin(workspace: Workspace, instance: Instance) -> dict[str, str]:
    """Have what is missing built by a process of its own, at the lowest priority, and wait for nothing.

    What failed within the last day is left alone: the same build would fail at every `up`.

    Args:
        workspace: the checkout.
        instance: what its cluster is to have.

    Returns:
        Of each that is missing, how its build stands.
    """
    lacking = missing(workspace, instance)
    wanted = [extra.name for extra in lacking if not failed_lately(workspace.cache, _attempt(workspace, extra))]
    if wanted and not is_building(workspace):
        _spawn(workspace, wanted)
    return {
        extra.name: f"being built in the background; until then {extra.without}"
        if extra.name in wanted
        else _reason(workspace, extra)
        for extra in lacking
    }


def standing(workspace: Workspace) -> Mapping[str, str]:
    """Say of each program that the cache lacks how its build stands."""
    lacking = [extra for extra in EXTRAS if not _place(workspace, extra).exists()]
    last = _last_line(_log(workspace)) if is_building(workspace) else ""
    return {extra.name: f"being built ({last})" if last else _reason(workspace, extra) for extra in lacking}


def is_building(workspace: Workspace) -> bool:
    """Return whether a process of this machine builds for this cache at this moment."""
    lock = _lock(workspace)
    with contextlib.suppress(FileNotFoundError), lock.with_name(f".{lock.name}.lock").open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def end(workspace: Workspace) -> None:
    """End the process that builds in the background, and its compilers; what is whole stays.

    Raises:
        DeployError: it does not end.
    """
    if not is_building(workspace):
        return
    with contextlib.suppress(OSError, ValueError):
        builder = int(_pid(workspace).read_text(encoding="utf-8"))
        if os.getpgid(builder) == builder:  # in the background it leads a group of its own; a person's own stays
            os.killpg(builder, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while is_building(workspace):
        if time.monotonic() > deadline:
            raise DeployError(
                f"Something still builds for the cluster in {workspace.cache}.", advice="End it, and run this again."
            )
        time.sleep(0.05)


def _spawn(workspace: Workspace, names: Sequence[str]) -> None:
    lowest = ["nice", "-n", "19"] if shutil.which("nice") else []
    log = _log(workspace)
    log.parent.mkdir(parents=True, exist_ok=True)
    environ = os.environ | {
        "STAMPCHAT_HOME": str(workspace.home),
        "STAMPCHAT_CACHE": str(workspace.cache),
        "PYTHONPATH": str(ROOT),
    }
    command = [*lowest, sys.executable, "-P", "-m", "deployer.cluster.embedded.background", *names]
    with log.open("wb") as said:
        # A shell starts it and is gone: it is nobody's child that somebody would have to wait for.
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *command],
            cwd="/",
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            check=True,
        )


def _reason(workspace: Workspace, extra: Extra) -> str:
    failed = failed_lately(workspace.cache, _attempt(workspace, extra))
    if not failed:
        return "not built yet; `./stampchat cluster extras` builds it"
    return f"could not be built; `./stampchat cluster extras` tries again\n{failed}"


def _attempt(workspace: Workspace, extra: Extra) -> str:
    return f"building {_place(workspace, extra).name}"


def _place(workspace: Workspace, extra: Extra) -> Path:
    return place(extra.name, extra.program, workspace.cache)


def _lock(workspace: Workspace) -> Path:
    return workspace.cache / "cluster" / "extras"


def _pid(workspace: Workspace) -> Path:
    return workspace.cache / "cluster" / "extras.pid"


def _log(workspace: Workspace) -> Path:
    return workspace.cache / "cluster" / "extras.log"


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1] if lines else "beginning"
    return "beginning"
