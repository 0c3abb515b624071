from __future__ import annotations

import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from deployer.plugins import install
from deployer.plugins.install import Plugins, install_plugins
from deployer.report import Silent
from deployer.versions import load_versions, machine_arch
from deployer.workspace import ROOT, Workspace
from tests.deployer.publisher import Publisher, archive, publisher

NAMES = ("kubernetes", "random")
EXEC = "pulumi-language-python-exec"


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A publisher of both official plugins, in place of the real one."""
    for name in ("http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with publisher() as running:
        entries = {
            name: {
                "version": "1.2.3",
                "release": f"{running.url}/pulumi-resource-{name}-v{{version}}-{{os}}-{{arch}}.tar.gz",
                "checksums": f"{running.url}/sums.txt",
            }
            for name in NAMES
        }
        for name in NAMES:
            packed = archive({f"pulumi-resource-{name}": f"#!/bin/sh\necho official {name}\n", "README.md": "x"})
            running.publish(f"pulumi-resource-{name}-v1.2.3-linux-{machine_arch()}.tar.gz", packed)
        monkeypatch.setattr(install, "load_versions", lambda: {"plugins": entries, "engine": {"version": "3.0.0"}})
        monkeypatch.setattr(install, "machine_os", lambda: "linux")
        yield running


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose start-up file for programs is there already."""
    made = Workspace(root=ROOT, home=tmp_path / "home", cache=tmp_path / "cache")
    start_up = tmp_path / EXEC
    start_up.write_text("start-up file")
    monkeypatch.setattr(install, "_find_exec", lambda _workspace: start_up)
    return made


def program(workspace: Workspace, name: str) -> Path:
    return workspace.pulumi_home / "plugins" / f"resource-{name}-v1.2.3" / f"pulumi-resource-{name}"


def install_twice(workspace: Workspace, releases: Publisher) -> tuple[Plugins, Plugins, int]:
    """Install two times and count the requests of the second."""
    first = install_plugins(workspace, Silent())
    asked = len(releases.asked)
    return first, install_plugins(workspace, Silent()), len(releases.asked) - asked


def test_the_official_plugins_serve_where_they_can_be_had(workspace: Workspace, releases: Publisher) -> None:
    first, second, asked = install_twice(workspace, releases)

    assert (first.source, second, asked) == ("official", first, 0)
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in first.environment
    for name in NAMES:
        assert not program(workspace, name).parent.is_symlink()
        said = subprocess.run([program(workspace, name)], capture_output=True, text=True, check=True).stdout
        assert said == f"official {name}\n"


def test_where_they_cannot_be_had_the_stand_ins_serve_and_nobody_asks_again(
    workspace: Workspace, releases: Publisher
) -> None:
    releases.files.clear()

    first, second, asked = install_twice(workspace, releases)

    assert (first.source, second, asked) == ("stand-in", first, 0)
    assert "HTTP 404" in first.reason
    assert f"{ROOT}" in program(workspace, "random").read_text()
    assert "deployer.plugins.kubernetes" in program(workspace, "kubernetes").read_text()


def test_one_plugin_that_is_not_as_published_makes_both_stand_ins(workspace: Workspace, releases: Publisher) -> None:
    name = f"pulumi-resource-random-v1.2.3-linux-{machine_arch()}.tar.gz"
    releases.files[f"/{name}"] += b"tampered"

    plugins = install_plugins(workspace, Silent())

    assert plugins.source == "stand-in"
    assert "the publisher says" in plugins.reason
    assert not (workspace.cache / "plugins" / "random-v1.2.3").exists()


def test_stand_ins_give_way_once_the_official_ones_can_be_had(
    workspace: Workspace, releases: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "remember_failure", lambda *_args: None)
    kept = dict(releases.files)
    releases.files.clear()
    install_plugins(workspace, Silent())
    releases.files.update(kept)

    assert install_plugins(workspace, Silent()).source == "official"
    assert program(workspace, "random").is_symlink()


def test_our_host_stands_beside_pulumis_start_up_file(workspace: Workspace, releases: Publisher) -> None:
    releases.files.clear()

    plugins = install_plugins(workspace, Silent())

    host = workspace.pulumi_home / "plugins" / "language-python-v3.0.0"
    assert plugins.language == "stand-in"
    assert (host / EXEC).read_text() == "start-up file"
    assert (host / "pulumi-language-python").stat().st_mode & 0o777 == 0o755


def test_the_host_of_an_official_engine_is_left_to_it(workspace: Workspace, releases: Publisher) -> None:
    releases.files.clear()
    bundled = workspace.cache / "engine" / "3.0.0"
    bundled.mkdir(parents=True)
    (bundled / "pulumi-language-python").touch()

    assert install_plugins(workspace, Silent()).language == "official"
    assert not list(workspace.pulumi_home.glob("plugins/language-*"))


@pytest.mark.parametrize("name", NAMES)
def test_each_plugin_has_the_version_of_its_python_package(name: str) -> None:
    plugins: Any = load_versions()["plugins"]

    assert plugins[name]["version"] == version(f"pulumi_{name}")
