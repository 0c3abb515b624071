"""Fetch Python wheels for an image, pinned by the hashes of a lock file."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deployer.errors import ProcessError, UsageError
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.seal import is_folder_intact, seal_folder
from deployer.report import Report
from deployer.versions import machine_arch

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_GLIBC = range(36, 16, -1)  # the image's is Debian 12's 2.36; pip takes the tags one by one, best first


def fetch_wheels(
    lock: Path,
    *,
    cache: Path,
    python_version: str = "3.11",
    report: Report,
    only: Sequence[str] = (),
    arch: str = "",
) -> list[Path]:
    """Return the wheels that a lock file names, for Linux on this machine's processor or another.

    Args:
        lock: a requirements file with a hash for each package.
        cache: our cache folder; the wheels lie in its wheels/, one folder for each content of a lock.
        python_version: the image's Python.
        report: where progress goes.
        only: names to take out of the lock; empty takes all.
        arch: another processor than this machine's, in Go's words ("arm64").

    Raises:
        ProcessError: pip failed: no network, no wheel for this machine, a wrong hash.
        UsageError: a name in `only` is not in the lock.
    """
    wanted = _select(lock.read_text(encoding="utf-8"), only)
    command = _pip(python_version, arch or machine_arch())
    key = hashlib.sha256("\n".join([wanted, *command[1:]]).encode()).hexdigest()[:16]
    folder = cache / "wheels" / key
    with exclusive(folder):
        if not is_folder_intact(folder):
            report.note(f"fetching {wanted.count('==')} Python packages")
            with staging(folder) as fresh:
                _download(command, wanted, fresh)
                replace_folder(fresh / "wheels", folder)
            seal_folder(folder)
    return sorted(folder.glob("*.whl"))


def _pip(python_version: str, arch: str) -> list[str]:
    machine = _MACHINES[arch]
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC] + [f"manylinux2014_{machine}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--require-hashes", "--only-binary=:all:", "--python-version", python_version, "--implementation", "cp"]
    command += [part for platform in platforms for part in ("--platform", platform)]
    # The lock is whole; resolving it again would only find newer releases and refuse them.
    return [*command, "--no-deps"]


def _download(command: Sequence[str], wanted: str, fresh: Path) -> None:
    requirements = fresh / "requirements.lock"
    requirements.write_text(wanted, encoding="utf-8")
    full = [*command, "--dest", str(fresh / "wheels"), "--requirement", str(requirements)]
    done = subprocess.run(full, capture_output=True, text=True, check=False, env=os.environ | {"PIP_NO_COLOR": "1"})
    if done.returncode:
        advice = "Check the network and pip's configuration, then run this again."
        raise ProcessError(["pip", *full[3:]], status=done.returncode, output=done.stderr, advice=advice)


def _select(text: str, only: Sequence[str]) -> str:
    """Return the lock, or those of its packages that are wanted."""
    if not only:
        return text
    packages = {_normal(block.split("==")[0]): block for block in _blocks(text)}
    missing = [name for name in only if _normal(name) not in packages]
    if missing:
        raise UsageError(f"The lock file does not name {', '.join(missing)}.", advice="Compile the lock file again.")
    return "\n".join(packages[_normal(name)] for name in sorted(only)) + "\n"


def _blocks(text: str) -> list[str]:
    """Split a lock into packages, each with its hashes."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.split(r"\n(?=\S)", "\n".join(lines))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).strip().lower()
