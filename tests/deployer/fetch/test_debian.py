from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from deployer.errors import DeployError, ProcessError
from deployer.fetch.debian import fetch_packages, unpack
from deployer.report import Silent

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this machine has no apt")
_CONTROL = "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"


class Archive:
    """A Debian archive in a folder, which apt takes for this machine's only source."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "Packages").touch()
        (folder / "sources.list").write_text(f"deb [trusted=yes] file:{folder} ./\n")
        (folder / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        )

    def add(self, name: str, version: str, *, sha256: str = "") -> None:
        tree = self.folder / f"{name}-{version}"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "usr").mkdir()
        control = _CONTROL.format(name=name, version=version)
        (tree / "DEBIAN" / "control").write_text(control)
        (tree / "usr" / name).write_text(version)
        deb = self.folder / f"{name}_{version}_all.deb"
        subprocess.run(["dpkg-deb", "--build", tree, deb], check=True, capture_output=True)
        digest = sha256 or hashlib.sha256(deb.read_bytes()).hexdigest()
        with (self.folder / "Packages").open("a") as packages:
            packages.write(f"{control}Filename: ./{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n\n")


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "archive" / "apt.conf"))
    return Archive(tmp_path / "archive")


@needs_apt
def test_packages_are_fetched_once_and_unpacked_without_installing(archive: Archive, tmp_path: Path) -> None:
    archive.add("first", "1.0")
    archive.add("second", "2.0")
    names = ["second", "first"]

    debs = fetch_packages(names, cache=tmp_path / "cache", report=Silent())
    shutil.rmtree(archive.folder)
    again = fetch_packages(names, cache=tmp_path / "cache", report=Silent())
    unpack(debs, tmp_path / "root")

    assert [deb.name for deb in debs] == ["second_2.0_all.deb", "first_1.0_all.deb"]
    assert again == debs
    assert (tmp_path / "root" / "usr" / "first").read_text() == "1.0"


@needs_apt
def test_a_version_stays_until_a_refresh_is_asked_for(archive: Archive, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    archive.add("first", "1.0")
    fetch_packages(["first"], cache=cache, report=Silent())
    archive.add("first", "1.1")

    kept = fetch_packages(["first"], cache=cache, report=Silent())
    fresh = fetch_packages(["first"], cache=cache, report=Silent(), refresh=True)

    assert [kept[0].name, fresh[0].name] == ["first_1.0_all.deb", "first_1.1_all.deb"]


@needs_apt
def test_a_name_that_older_lists_lack_makes_them_be_read_again(archive: Archive, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    archive.add("first", "1.0")
    fetch_packages(["first"], cache=cache, report=Silent())
    archive.add("later", "1.0")

    assert fetch_packages(["later"], cache=cache, report=Silent())[0].exists()


@needs_apt
def test_an_unknown_name_is_named(archive: Archive, tmp_path: Path) -> None:
    archive.add("first", "1.0")

    with pytest.raises(ProcessError, match="Unable to locate package nosuch"):
        fetch_packages(["first", "nosuch"], cache=tmp_path / "cache", report=Silent())

    assert not list((tmp_path / "cache" / "debian").glob("*.deb"))


@needs_apt
def test_a_package_that_is_not_what_the_lists_say_is_refused(archive: Archive, tmp_path: Path) -> None:
    archive.add("first", "1.0", sha256="0" * 64)

    with pytest.raises(ProcessError):
        fetch_packages(["first"], cache=tmp_path / "cache", report=Silent())

    assert not list((tmp_path / "cache" / "debian").glob("*.deb"))


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)

    with pytest.raises(DeployError, match="packages of Debian"):
        fetch_packages(["first"], cache=tmp_path, report=Silent())


def test_without_a_network_it_is_not_the_names_that_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that cannot be reached is only warned of by apt, which then knows no package at all."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("apt-get", "dpkg-deb"):
        (programs / name).write_text("#!/bin/sh\necho 'W: Temporary failure resolving deb.debian.org' >&2\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")

    with pytest.raises(DeployError, match="The package lists of Debian could not be had") as caught:
        fetch_packages(["busybox"], cache=tmp_path / "cache", report=Silent())

    assert caught.value.said == "W: Temporary failure resolving deb.debian.org"
    assert "Check the network" in caught.value.advice
