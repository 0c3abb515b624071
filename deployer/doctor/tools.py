"""Look for the programs of the machine that `up` starts, and at their versions."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from deployer import cluster
from deployer.doctor.model import Finding
from deployer.errors import DeployError
from deployer.needs import Needs
from deployer.workspace import Workspace

_SECONDS = 10
_GO_MODULE = Path("deployer") / "engine" / "go" / "go.mod"


def examine_tools(workspace: Workspace, needs: Needs, ground: cluster.Ground = "embedded") -> Iterator[Finding]:
    """Yield each program, and those that nothing here needs only where they are there.

    Args:
        workspace: the checkout.
        needs: what the cache lacks; what is only asked for a build may be away where nothing is to be built.
        ground: what makes the cluster.
    """
    yield _python()
    if platform.system() == "Linux" and ground == "embedded":
        yield _program("ip", "iproute2")
    yield _go(workspace, needed=bool(needs.builds))
    yield _apt(needed=bool(needs.packages) and platform.system() == "Linux")
    if ground in ("kind", "k3d"):
        yield _maker(workspace, ground)
    else:
        yield from _grounds()


def go_version(said: str) -> tuple[int, int] | None:
    """Read "go version go1.26.1 linux/amd64"."""
    match = re.search(r"\bgo(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else None


def needed_go(root: Path) -> tuple[int, int]:
    """Return the oldest Go that builds all of it, as the engine's go.mod says.

    Args:
        root: the checkout.
    """
    match = re.search(r"^go (\d+)\.(\d+)", (root / _GO_MODULE).read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None  # noqa: S101  # every go.mod has this line
    return int(match[1]), int(match[2])


def find_go() -> str | None:
    """Return Go's command, where a person or its installer has put it."""
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def said_by(*command: str) -> str:
    """Return what a program prints, or "" when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _python() -> Finding:
    import importlib.util

    version = ".".join(map(str, sys.version_info[:3]))
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return Finding("tools", "python", "ok", f"{version}, with venv and pip")
    if sys.prefix != sys.base_prefix:
        return Finding("tools", "python", "ok", f"{version}, in an environment that is made")
    return Finding("tools", "python", "missing", f"{version} without venv", "apt-get install python3-venv")


def _program(name: str, package: str) -> Finding:
    found = shutil.which(name)
    if found:
        return Finding("tools", name, "ok", found)
    return Finding("tools", name, "missing", "not on PATH", f"apt-get install {package}")


def _go(workspace: Workspace, *, needed: bool) -> Finding:
    wanted = needed_go(workspace.root)
    told = ".".join(map(str, wanted))
    get = f"Install Go {told} or newer from https://go.dev/dl so that `go` is on PATH."
    command = find_go()
    if command is None:
        if needed:
            return Finding("tools", "go", "missing", "not on PATH, and something has to be built", get)
        return Finding("tools", "go", "ok", "not here, and nothing has to be built")
    said = said_by(command, "env", "GOVERSION")
    version = go_version(said)
    if version is None or version < wanted:
        said = f"{said or command}, not {told}"
        if needed:
            return Finding("tools", "go", "missing", said, get)
        return Finding("tools", "go", "note", said, "Nothing has to be built; a new version may.")
    return Finding("tools", "go", "ok", said.removeprefix("go"))


def _apt(*, needed: bool) -> Finding:
    lacks = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if not lacks:
        return Finding("tools", "apt", "ok", "apt-get and dpkg-deb; packages are unpacked, never installed")
    if needed:
        advice = "Use Debian or Ubuntu, or a bundle from such a machine: `./stampchat bundle FILE`."
        return Finding("tools", "apt", "missing", f"no {' and no '.join(lacks)}", advice)
    return Finding("tools", "apt", "ok", "not here, and nothing is to be fetched")


def _maker(workspace: Workspace, ground: cluster.Ground) -> Finding:
    try:
        version = cluster.check_maker(workspace, ground)
    except DeployError as error:
        return Finding("tools", ground, "missing", error.what, error.advice)
    return Finding("tools", ground, "ok", f"{version}, and Docker answers")


def _grounds() -> Iterator[Finding]:
    """Name what other clusters could be made with; none of it is needed where the embedded one can run."""
    there = [name for name in ("docker", "kind", "k3d", "kubectl") if shutil.which(name)]
    if not there:
        return
    answers = "docker" in there and bool(said_by("docker", "version", "--format", "{{.Server.Version}}"))
    said = ", ".join(name if name != "docker" or answers else "docker (its daemon does not answer)" for name in there)
    yield Finding("tools", "other grounds", "ok", f"{said}; nothing of them is needed")
