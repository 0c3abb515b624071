"""Bring programs that no wheel has, a PgBouncer and a Postgres with TLS, from Debian's packages, installing nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deployer.errors import DeployError
from deployer.fetch.debian import fetch_packages, unpack
from deployer.report import Silent
from deployer.workspace import load_workspace
from tests.services.postgres import Binaries

# How deep the libraries of libraries go.
LEVELS = 4


def bring(package: str, folder: Path) -> Path:
    """Unpack a package; skip the test, saying why, where there is none to be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip(f"NOT TESTED: this machine has no apt, which would bring {package}")
    try:
        debs = fetch_packages([package], cache=load_workspace().cache, report=Silent())
    except DeployError as error:
        pytest.skip(f"NOT TESTED: {package} cannot be fetched: {error}")
    folder.chmod(0o755)
    unpack(debs, folder)
    return debs[0]


def bring_libraries(program: Path, deb: Path, folder: Path) -> dict[str, str]:
    """Unpack what a program links to and this machine lacks; return the environment in which it is found."""
    environment = {"LD_LIBRARY_PATH": ":".join(map(str, sorted(folder.glob("usr/lib/*-linux-gnu*"))))}
    wanted = _libraries(deb)
    for _ in range(LEVELS):
        if not _lacks(program, environment):
            break
        debs = fetch_packages(sorted(wanted), cache=load_workspace().cache, report=Silent())
        unpack(debs, folder)
        environment = {"LD_LIBRARY_PATH": ":".join(map(str, sorted(folder.glob("usr/lib/*-linux-gnu*"))))}
        wanted = {name for deb in debs for name in _libraries(deb)}
    return environment


def bring_postgres(folder: Path) -> Binaries:
    """Unpack the Postgres of this release of Debian, whose name has its version in it."""
    version = _field(bring("postgresql", folder), "Depends").split()[0].removeprefix("postgresql-")
    deb = bring(f"postgresql-{version}", folder)
    bring(f"postgresql-client-{version}", folder)
    programs = folder / "usr/lib/postgresql" / version / "bin"
    return Binaries(programs, bring_libraries(programs / "postgres", deb, folder))


def _lacks(program: Path, environment: dict[str, str]) -> bool:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True, env=environment)
    return "not found" in listed.stdout


def _libraries(deb: Path) -> set[str]:
    alternatives = (part.split("|")[0].split("(")[0].strip() for part in _field(deb, "Depends").split(","))
    # Postgres loads LLVM only to compile long queries; libc is of this very release.
    return {name for name in alternatives if name.startswith("lib") and not name.startswith(("libllvm", "libc6"))}


def _field(deb: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", deb, name], capture_output=True, text=True, check=True).stdout
