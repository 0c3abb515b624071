"""Registries are asked by the machine's own clients, set up as a person sets them up."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.doctor import network
from deployer.doctor.model import Finding
from deployer.doctor.network import examine_network
from deployer.needs import Needs
from tests.deployer.publisher import Publisher, publisher

ALL = Needs(builds=("Kubernetes",), packages=("2 Debian packages",), wheels=("the images' layers",))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """Stand in for the registries of pip and go; the releases' address and apt are the machine's own."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(network, "_SECONDS", 60)
    monkeypatch.setattr(network, "_ask_apt", lambda _: "")
    monkeypatch.setattr(network, "_ask_releases", lambda: "")
    with publisher() as running:
        point_at(running.url, monkeypatch)
        yield running


def point_at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{url}/simple")
    monkeypatch.setenv("GOPROXY", url)
    monkeypatch.setenv("GONOSUMDB", "*")
    monkeypatch.setenv("GONOSUMCHECK", "1")


def examined(needs: Needs) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_network(needs)}


def test_registries_that_answer_are_there(registry: Publisher) -> None:
    registry.files["/"] = b'<a href="typer-1.0-py3-none-any.whl">typer-1.0-py3-none-any.whl</a>'
    registry.files["/v0.1.0.info"] = b'{"Version": "v0.1.0", "Time": "2022-01-01T00:00:00Z"}'
    registry.files["/v0.1.0.mod"] = b"module golang.org/x/sync\n"

    found = examined(ALL)

    assert {name: (finding.state, finding.said) for name, finding in found.items()} == {
        "pip": ("ok", "its registry answers"),
        "go": ("ok", "its registry answers"),
        "apt": ("ok", "its registry answers"),
        "releases": ("ok", "answer"),
    }
    assert any("/golang.org/x/sync/@v/" in path for path in registry.asked)
    assert "/simple/typer/" in registry.asked


def test_asking_leaves_nothing_of_gos_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what it knows of the checksum database nor its count of its own use."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GOPATH", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(network, "_SECONDS", 60)

    assert examined(Needs())["go"].said == "its registry answers"
    assert [path for name in ("go", ".config") for path in (tmp_path / name).rglob("*")] == []


def test_registries_that_are_away_are_missing_where_something_is_wanted(
    registry: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    del registry
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        point_at(f"http://127.0.0.1:{taken.getsockname()[1]}", monkeypatch)

        cold, warm = examined(ALL), examined(Needs())

    assert (cold["go"].state, warm["go"].state) == ("missing", "note")
    assert cold["pip"].state == "missing"
    assert "refused" in cold["go"].said
    assert "go env GOPROXY" in cold["go"].remedy
    assert "./stampchat bundle FILE" in cold["go"].remedy


def test_releases_that_are_away_stop_nothing(registry: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    del registry
    monkeypatch.setattr(network, "_ask_releases", lambda: "no answer within 3 s")

    found = examined(Needs())["releases"]

    assert found.state == "note"
    assert "stand-ins serve" in found.said
