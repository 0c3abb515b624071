"""Fetch Debian packages without installing them: nothing on the host changes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deployer.errors import DeployError, ProcessError
from deployer.fetch.atomic import exclusive, staging
from deployer.fetch.seal import is_intact, seal
from deployer.report import Report

_HOOKS = (
    "APT::Update::Pre-Invoke",
    "APT::Update::Post-Invoke",
    "APT::Update::Post-Invoke-Success",
    "DPkg::Post-Invoke",
)


def fetch_packages(
    names: Sequence[str], *, cache: Path, report: Report, refresh: bool = False, arch: str = ""
) -> list[Path]:
    """Return the .deb file of each package, in the order of the names.

    They come from the sources that this machine's apt is set up with, verified by it, through lists
    and caches of our own. What was fetched once is kept until `refresh`, so that what is made from it
    stays the same.

    Args:
        names: package names, or "NAME=VERSION".
        cache: our cache folder; the packages lie in its debian/.
        report: where progress goes.
        refresh: ask for the newest versions again.
        arch: another processor than this machine's, in Debian's words ("arm64"); its packages are fetched, never run.

    Raises:
        DeployError: no apt on this machine, a name that it does not know, or no way to its sources.
    """
    store = cache / "debian" / arch
    apt = cache / (f"apt-{arch}" if arch else "apt")
    with exclusive(store / "index.json"):
        index = _load_index(store)
        wanted = [name for name in names if refresh or not _present(store, index, name)]
        if wanted:
            report.note(f"fetching {len(wanted)} Debian packages")
            index |= _download(wanted, store, apt, report, refresh=refresh, arch=arch)
            _save_index(store, index)
        return [store / index[name] for name in names]


def absent(names: Sequence[str], *, cache: Path) -> list[str]:
    """List those packages that `fetch_packages` would have to fetch, for this machine's processor.

    Args:
        names: package names, or "NAME=VERSION".
        cache: our cache folder.
    """
    store = cache / "debian"
    index = _load_index(store)
    return [name for name in names if not _present(store, index, name)]


def adopt(files: Mapping[str, str], *, cache: Path) -> None:
    """Take packages into account that were put beside the others; what was there before stays what a name means.

    Args:
        files: the file of each package, by its name, or by "NAME=VERSION".
        cache: our cache folder.
    """
    store = cache / "debian"
    with exclusive(store / "index.json"):
        index = _load_index(store)
        new = {name: file for name, file in files.items() if not _present(store, index, name)}
        _save_index(store, index | new)


def unpack(debs: Sequence[Path], into: Path) -> None:
    """Unpack packages into a folder; none of their scripts runs.

    Raises:
        ProcessError: a package is broken or the disk is full.
    """
    into.mkdir(parents=True, exist_ok=True)
    for deb in debs:
        _run(["dpkg-deb", "-x", str(deb), str(into)])


def _download(
    names: Sequence[str], store: Path, apt: Path, report: Report, *, refresh: bool, arch: str
) -> dict[str, str]:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise DeployError(
            "This needs packages of Debian, and there is no `apt-get` or `dpkg-deb` on this machine.",
            advice="Use Debian or Ubuntu, or name a cluster that runs elsewhere.",
        )
    options = _prepare(apt, arch)
    if refresh or not _has_lists(apt):
        _update(options, apt, report)
    with staging(store / "packages") as folder:
        download = ["apt-get", *options, "--quiet=2", "download", *names]
        try:
            _run(download, cwd=folder)
        except ProcessError:  # lists that are too old name versions that the archive has dropped
            _update(options, apt, report)
            _run(download, cwd=folder, advice="A name that apt does not know comes from another release of Debian.")
        found = {deb.name.split("_", 1)[0]: deb.name for deb in folder.glob("*.deb")}
        for name in found.values():
            (folder / name).replace(store / name)
            seal(store / name)
    return {name: found[name.partition("=")[0]] for name in names}


def _update(options: Sequence[str], apt: Path, report: Report) -> None:
    report.note("reading the package lists of Debian")
    advice = "Check the network and the sources in /etc/apt, then run this again."
    said = _run(["apt-get", *options, "--quiet=2", "update"], advice=advice)
    # A source that cannot be reached is only warned of, and with another's lists it need not matter.
    if not _has_lists(apt):
        raise DeployError(
            "The package lists of Debian could not be had.", said="\n".join(said.splitlines()[-5:]), advice=advice
        )


def _has_lists(apt: Path) -> bool:
    return any((apt / "lists").glob("*Packages*"))


def _prepare(apt: Path, arch: str) -> list[str]:
    """Make folders of our own for apt and return the options that point it there."""
    for folder in ("lists/partial", "archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": apt,
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": "/dev/null",  # what the host has installed does not matter
        "Dir::Cache": apt,
        "Dir::Cache::archives": apt / "archives",
        "APT::Sandbox::User": "",  # the user _apt cannot write into our folders
        "Acquire::Languages": "none",
        "Acquire::Retries": 2,
        "Acquire::http::Timeout": 20,
    } | ({"APT::Architecture": arch, "APT::Architectures": arch} if arch else {})
    # The host's own hooks (a container's clean-up, an index of commands) change the host. Read after its settings.
    cleared = [*_HOOKS, "APT::Architectures"] if arch else _HOOKS
    lines = [f"#clear {key};" for key in cleared] + [f'{key} "{value}";' for key, value in settings.items()]
    config = apt / "apt.conf"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["-c", str(config)]


def _run(command: Sequence[str], *, cwd: Path | None = None, advice: str = "") -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProcessError(command, status=done.returncode, output=done.stdout + done.stderr, advice=advice)
    return done.stdout + done.stderr


def _present(store: Path, index: dict[str, str], name: str) -> bool:
    return name in index and is_intact(store / index[name])


def _load_index(store: Path) -> dict[str, str]:
    try:
        loaded = json.loads((store / "index.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(key): str(value) for key, value in loaded.items()} if isinstance(loaded, dict) else {}


def _save_index(store: Path, index: dict[str, str]) -> None:
    fresh = store / "index.json.new"
    fresh.write_text(json.dumps(index, indent=1, sort_keys=True), encoding="utf-8")
    fresh.replace(store / "index.json")
