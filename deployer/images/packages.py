"""Pin the Debian packages of the images, so that the same checkout makes the same images on any machine and day."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployError, ProcessError, UsageError
from deployer.fetch.debian import fetch_packages
from deployer.files import write_whole
from deployer.report import Report
from deployer.versions import load_versions, machine_arch

LOCK = "debian-images.lock"
ARCHITECTURES = ("amd64", "arm64")
_HEAD = """\
# The Debian packages of the images, by file and SHA-256. `./stampchat images lock` takes Debian's newest
# (security updates) and makes new layers of them. Which packages there are stands in versions.toml.
"""


@dataclass(frozen=True)
class Packages:
    """Fetch the packages that a lock names, for one processor.

    Attributes:
        lock: the lock file.
        arch: the processor, in Debian's words, which are Go's.
        cache: our cache folder.
        report: where progress goes.
    """

    lock: Path
    arch: str
    cache: Path
    report: Report

    def fetch(self, names: Sequence[str]) -> list[Path]:
        """Return the packages' files, in the order of the names.

        Raises:
            DeployError: a package cannot be had, or is not the one that the lock names.
        """
        pinned = self._pinned(names)
        specs = self.specs(names)
        try:
            debs = self._fetch(specs)
        except ProcessError:
            debs = [self._fetch_or_newest(spec) for spec in specs]
        for deb, (file, digest) in zip(debs, pinned.values(), strict=True):
            if deb.name == file and _digest(deb) != digest:
                deb.unlink()
                raise DeployError(
                    f"{file} is not the package that {self.lock.name} names: its SHA-256 is another.",
                    advice="It was removed from the cache; run this again, or `./stampchat images lock`.",
                )
        return debs

    def files(self, names: Sequence[str]) -> list[str]:
        """Return the names of the files that `fetch` would return; no network where they were fetched before."""
        return [deb.name for deb in self.fetch(names)]

    def specs(self, names: Sequence[str]) -> list[str]:
        """Return what apt is asked for: each name with the version that the lock pins."""
        return [f"{name}={_version(file)}" for name, (file, _) in self._pinned(names).items()]

    def _pinned(self, names: Sequence[str]) -> dict[str, tuple[str, str]]:
        locked = {
            file.partition("_")[0]: (file, digest) for file, digest in _load(self.lock).get(self.arch, {}).items()
        }
        missing = [name for name in names if name not in locked]
        if missing:
            raise UsageError(
                f"{self.lock.name} does not name {', '.join(missing)} for {self.arch}.",
                advice="`./stampchat images lock` writes it anew.",
            )
        return {name: locked[name] for name in names}

    def _fetch_or_newest(self, spec: str) -> Path:
        """Take the newest where the archive has dropped the pinned one: an old image is better than none."""
        name = spec.partition("=")[0]
        try:
            return self._fetch([spec])[0]
        except ProcessError:
            newest = self._fetch([name])[0]
        self.report.note(f"Debian no longer has {spec}; this image has {newest.name}, so its digest is another")
        return newest

    def _fetch(self, specs: Sequence[str]) -> list[Path]:
        return _fetch(specs, self.arch, self.cache, self.report)


def write_lock(path: Path, *, cache: Path, report: Report) -> list[str]:
    """Take Debian's newest packages for every processor, and write which they are.

    Args:
        path: the lock file, written whole or not at all.
        cache: our cache folder.
        report: where progress goes.

    Returns:
        The files that were not in the lock before.

    Raises:
        DeployError: a package cannot be had.
    """
    groups = load_versions()["images"]
    names = [name for group in ("base", "python", "postgres") for name in groups[group]]
    before = _load(path) if path.exists() else {}
    lines = [_HEAD]
    new: list[str] = []
    for arch in ARCHITECTURES:
        debs = _fetch(names, arch, cache, report, refresh=True)
        lines.append(f"\n[{arch}]\n")
        lines += [f'"{deb.name}" = "sha256:{_digest(deb).removeprefix("sha256:")}"\n' for deb in debs]
        new += [deb.name for deb in debs if deb.name not in before.get(arch, {})]
    write_whole(path, "".join(lines))
    return new


def _fetch(names: Sequence[str], arch: str, cache: Path, report: Report, *, refresh: bool = False) -> list[Path]:
    foreign = "" if arch == machine_arch() else arch
    return fetch_packages(names, cache=cache, report=report, arch=foreign, refresh=refresh)


def _load(path: Path) -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _version(file: str) -> str:
    """Return a package's version by its file's name, in which a colon is written %3a."""
    return file.split("_")[1].replace("%3a", ":")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
