"""Run somebody else's command line, and say what its failures mean."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployer.errors import DeployError, ProcessError

# Creating a cluster may have to pull an image of half a gigabyte.
LONG = 900.0
SHORT = 60.0
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_DOCKER_AWAY = re.compile(
    r"Cannot connect to the Docker daemon|error during connect|docker daemon is not running", re.IGNORECASE
)
_NOT_ALLOWED = re.compile(r"permission denied.*docker", re.IGNORECASE | re.DOTALL)
_PORT = re.compile(r"port is already allocated|address already in use|ports are not available", re.IGNORECASE)


class PortTakenError(DeployError):
    """Say that Docker could not listen on the gateway's port."""


class Maker(Protocol):
    """Make clusters by a program that the user has installed; each of these raises DeployError when it fails."""

    program: str

    def check(self) -> str:
        """Return the program's version, once it is there, new enough, and Docker answers."""

    def names(self) -> list[str]:
        """List the clusters that it has made, running or not."""

    def create(self, name: str, port: int) -> None:
        """Make a cluster whose node port of the gateway leads to a port of 127.0.0.1."""

    def start(self, name: str) -> None:
        """Start a cluster that was stopped; nothing happens to one that runs."""

    def stop(self, name: str) -> None:
        """Stop a cluster and keep its data."""

    def kubeconfig(self, name: str) -> str:
        """Return the text of a kubeconfig that has full rights on a cluster."""

    def load(self, name: str, archive: Path) -> None:
        """Put the image of an OCI archive into a cluster."""

    def delete(self, name: str) -> None:
        """Delete a cluster with its data."""


@dataclass(frozen=True)
class Requirement:
    """Say which version of a program is needed, and where it comes from.

    Attributes:
        program: its name on PATH.
        oldest: the first version that will do.
        install: where people get it.
    """

    program: str
    oldest: tuple[int, int]
    install: str


def require(requirement: Requirement, said: str) -> str:
    """Return the version in what a program says of itself.

    Args:
        requirement: the program's.
        said: such as "kind v0.30.0 go1.24.6 linux/amd64".

    Raises:
        DeployError: it is too old, or it says none.
    """
    match = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", said)
    if match is None:
        raise DeployError(
            f"`{requirement.program}` does not say which version it is.", said=said, advice=requirement.install
        )
    if (int(match[1]), int(match[2])) < requirement.oldest:
        oldest = ".".join(map(str, requirement.oldest))
        raise DeployError(
            f"{requirement.program} {match[0].removeprefix('v')} is too old; {oldest} is the first that will do.",
            advice=f"Its clusters have a Kubernetes that is too old for us. {requirement.install}",
        )
    return match[0].removeprefix("v")


def run(command: Sequence[str], *, advice: str, seconds: float = SHORT, given: str = "") -> str:
    """Return what a program prints on its standard output.

    Args:
        command: its argument vector.
        advice: what to do where it is not on PATH.
        seconds: how long it may take.
        given: its standard input.

    Raises:
        PortTakenError: Docker could not listen on a port.
        DeployError: it is not there, Docker does not answer, it took too long, or it failed in its own words.
    """
    program = command[0]
    if shutil.which(program) is None:
        raise DeployError(f"There is no `{program}` on PATH.", advice=advice)
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=seconds, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        raise DeployError(
            f"`{' '.join(command[:3])}` did not end within {seconds / 60:.0f} minutes.",
            advice="Does Docker reach the registry that its images come from? Run this again: it goes on from there.",
        ) from error
    if done.returncode == 0:
        return done.stdout
    said = _COLOUR.sub("", f"{done.stdout}\n{done.stderr}").strip()
    raise _failure(command, done.returncode, said)


def _failure(command: Sequence[str], status: int, said: str) -> DeployError:
    if _NOT_ALLOWED.search(said):
        return DeployError(
            "This user may not speak to Docker.",
            said=_tail(said),
            advice="Join its group (`sudo usermod -aG docker $USER`, then log in again), or run this as root.",
        )
    if _DOCKER_AWAY.search(said):
        return DeployError(
            "Docker does not answer.",
            said=_tail(said),
            advice="Start it: `sudo systemctl start docker`, or Docker Desktop. Then run this again.",
        )
    if _PORT.search(said):
        return PortTakenError(
            "Docker could not listen on the gateway's port: something else does.",
            said=_tail(said),
            advice="End it, or choose another port: `--port 8081`. Nothing of the cluster was kept.",
        )
    return ProcessError(command, status=status, output=said, advice="Mend that and run this again.")


def _tail(said: str) -> str:
    return "\n".join(said.splitlines()[-6:])
