from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from deployer.engine import acquire
from deployer.engine.acquire import Engine, ensure_engine
from deployer.errors import DeployError
from deployer.versions import load_versions, machine_arch
from deployer.workspace import ROOT, Workspace
from tests.deployer.publisher import Publisher, archive, publisher

OURS = "3.50.2"


class Notes:
    """Keep what was noted."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)


def script(told: str) -> str:
    """Return a program that tells a version, as `pulumi version` does."""
    return f"#!/bin/sh\necho {told}\n"


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Publisher]:
    """A publisher of engines; PATH has none and nothing can be built, until a test says otherwise."""
    for name in ("http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    def build(*_args: object, **_kwargs: object) -> None:
        raise DeployError("there is no `go`")

    monkeypatch.setattr(acquire, "go_build", build)
    with publisher() as running:
        entry = {
            "version": OURS,
            "release": f"{running.url}/pulumi-v{{version}}-{{os}}-{{pulumi_arch}}.tar.gz",
            "checksums": f"{running.url}/sums.txt",
            "pulumi_arch": {machine_arch(): "here"},
        }
        monkeypatch.setattr(acquire, "load_versions", lambda: {"engine": entry})
        monkeypatch.setattr(acquire, "machine_os", lambda: "linux")
        yield running


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=ROOT, home=tmp_path / "home", cache=tmp_path / "cache")


def put_on_path(workspace: Workspace, told: str) -> Path:
    path = workspace.home.parent / "bin" / "pulumi"
    path.write_text(script(told))
    path.chmod(0o755)
    return path


def release(releases: Publisher, told: str = f"v{OURS}") -> None:
    files = dict.fromkeys(("pulumi/pulumi", "pulumi/pulumi-language-python", "pulumi/pulumi-language-go"), script(told))
    releases.publish(f"pulumi-v{OURS}-linux-here.tar.gz", archive(files))


def cached(workspace: Workspace) -> Path:
    return workspace.cache / "engine" / OURS


def test_an_engine_on_path_of_our_minor_version_is_taken(workspace: Workspace, releases: Publisher) -> None:
    path = put_on_path(workspace, "v3.50.9")

    assert ensure_engine(workspace, Notes()) == Engine(path, "3.50.9", "path")
    assert releases.asked == []


@pytest.mark.parametrize("told", ["v3.51.0", "v4.50.2", "nonsense; exit 1"])
def test_another_engine_on_path_is_named_and_passed_over(workspace: Workspace, releases: Publisher, told: str) -> None:
    put_on_path(workspace, told)
    release(releases)
    notes = Notes()

    engine = ensure_engine(workspace, notes)

    assert engine.source == "release"
    assert "the programs need 3.50: looking for another" in notes.lines[0]


def test_a_release_is_kept_with_its_python_host_and_found_again(workspace: Workspace, releases: Publisher) -> None:
    release(releases)

    first = ensure_engine(workspace, Notes())
    asked = len(releases.asked)
    second = ensure_engine(workspace, Notes())

    pulumi = cached(workspace) / "pulumi"
    assert (first, second) == (Engine(pulumi, OURS, "release"), Engine(pulumi, OURS, "cache"))
    assert len(releases.asked) == asked
    kept = sorted(path.name for path in cached(workspace).iterdir() if not path.name.startswith("."))
    assert kept == ["pulumi", "pulumi-language-python"]


def test_a_release_that_does_not_run_here_is_not_kept(workspace: Workspace, releases: Publisher) -> None:
    release(releases, "broken; exit 1")

    with pytest.raises(DeployError, match="does not run here"):
        ensure_engine(workspace, Notes())

    assert not cached(workspace).exists()


def test_without_a_release_it_is_built_and_found_again(
    workspace: Workspace, releases: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[Path, str, str]] = []

    def build(source: Path, package: str, output: Path, *, ldflags: str, **_kwargs: object) -> None:
        built.append((source, package, ldflags))
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()

    monkeypatch.setattr(acquire, "go_build", build)

    assert [ensure_engine(workspace, Notes()).source for _ in range(2)] == ["build", "cache"]
    assert releases.asked == ["/sums.txt"]
    assert [(source.name, ldflags) for source, _, ldflags in built] == [
        ("go", f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{OURS}")
    ]


def test_when_nothing_works_every_try_is_named_with_its_reason(workspace: Workspace, releases: Publisher) -> None:
    put_on_path(workspace, "v2.0.0")
    releases.files.clear()

    with pytest.raises(DeployError) as caught:
        ensure_engine(workspace, Notes())

    said = str(caught.value)
    assert re.search(
        r"PATH: .*/pulumi is 2\.0\.0.*\n.*official release: .*HTTP 404.*\n.*its Go modules: there is no `go`", said
    )
    assert f"Install the Pulumi CLI {OURS}" in said


def test_a_killed_download_leaves_nothing_that_is_believed(
    workspace: Workspace, releases: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(releases)

    def killed(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(acquire, "extract_files", killed)
    with pytest.raises(KeyboardInterrupt):
        ensure_engine(workspace, Notes())
    monkeypatch.undo()

    assert not cached(workspace).exists()


def test_the_engine_has_the_minor_version_of_the_python_package() -> None:
    engine, package = load_versions()["engine"]["version"], version("pulumi")

    assert engine.split(".")[:2] == package.split(".")[:2]


@pytest.mark.parametrize("module", ["pkg", "sdk"])
def test_the_build_pins_the_version_of_the_release(module: str) -> None:
    pinned = (ROOT / "deployer" / "engine" / "go" / "go.mod").read_text()

    assert f"github.com/pulumi/pulumi/{module}/v3 v{load_versions()['engine']['version']}\n" in pinned


def test_a_damaged_engine_is_had_anew(workspace: Workspace, releases: Publisher) -> None:
    """A disk that was full, a copy that broke off: nobody has to know where the cache is."""
    release(releases)
    pulumi = ensure_engine(workspace, Notes()).pulumi
    whole = pulumi.read_bytes()
    pulumi.write_bytes(whole[: len(whole) // 2])

    assert ensure_engine(workspace, Notes()) == Engine(pulumi, OURS, "release")
    assert pulumi.read_bytes() == whole
    assert ensure_engine(workspace, Notes()).source == "cache"
