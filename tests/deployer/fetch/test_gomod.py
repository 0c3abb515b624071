from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deployer.errors import DeployError, ProcessError
from deployer.fetch.gomod import go_build, go_environment, module_dir
from deployer.report import Silent
from deployer.workspace import load_workspace

MAIN = 'package main\n\nvar word = "unset"\n\nfunc main() { println(word) }\n'

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="there is no `go` on PATH")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "go.mod").write_text("module tiny\n\ngo 1.21\n")
    (folder / "main.go").write_text(MAIN)
    return folder


def build(source: Path, output: Path) -> None:
    cache = load_workspace().cache
    go_build(source, ".", output, cache=cache, ldflags="-X main.word=hello", what="the tool", report=Silent())


@needs_go
def test_a_program_is_built_and_its_sources_stay_as_they_are(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "bin" / "tool"

    build(source, output)

    assert subprocess.run([output], capture_output=True, check=True).stderr == b"hello\n"
    assert sorted(path.name for path in source.iterdir()) == ["go.mod", "main.go"]
    assert [path.name for path in output.parent.iterdir() if not path.name.endswith(".lock")] == ["tool"]


@needs_go
def test_go_leaves_nothing_at_home_and_keeps_to_the_settings_there(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts its own use in a folder of its own, which is in our cache then."""
    cache = load_workspace().cache
    home = tmp_path / "home"
    settings = home / ".config" / "go" / "env"
    settings.parent.mkdir(parents=True)
    settings.write_text("GOFLAGS=-trimpath\nGOPRIVATE=corp.example\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)

    go_build(source, ".", tmp_path / "tool", cache=cache, what="the tool", report=Silent())
    asked = ["go", "env", "GOPRIVATE", "GOTELEMETRYDIR"]
    told = subprocess.run(asked, env=go_environment(cache), capture_output=True, text=True, check=True)

    assert told.stdout.split() == ["corp.example", str(cache / "go" / "config" / "go" / "telemetry")]
    assert [path for path in home.rglob("*") if path.is_file()] == [settings]


@needs_go
def test_a_build_that_fails_says_why_and_keeps_the_old_program(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "tool"
    output.write_text("old")
    (source / "main.go").write_text(MAIN.replace("println(word)", "println(other)"))

    with pytest.raises(ProcessError, match="undefined: other"):
        build(source, output)

    assert output.read_text() == "old"
    assert not list(tmp_path.glob(".tool.part-*"))


def test_what_go_works_in_goes_with_the_build(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed, it leaves it, and in the machine's own folder nobody would take it away."""
    go = tmp_path / "go"
    go.write_text(
        f'#!/bin/sh\necho "$GOTMPDIR" >{tmp_path}/seen\nfor word; do case $word in */tool) : >$word ;; esac; done\n'
    )
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    build(source, tmp_path / "bin" / "tool")

    seen = Path((tmp_path / "seen").read_text().strip())
    assert seen.parent == tmp_path / "bin"
    assert seen.name.startswith(".tool.part-")
    assert not seen.exists()


@needs_go
def test_a_go_that_is_too_old_is_named_as_such(source: Path, tmp_path: Path) -> None:
    (source / "go.mod").write_text("module tiny\n\ngo 1.999\n")

    with pytest.raises(DeployError, match="too old to build the tool"):
        build(source, tmp_path / "tool")


def test_a_missing_go_is_named_with_what_brings_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)

    with pytest.raises(DeployError, match="no `go` on PATH") as caught:
        build(source, tmp_path / "tool")

    assert "golang-go" in caught.value.advice


@needs_go
def test_a_full_disk_is_one_paragraph(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = tmp_path / "go"
    full.write_text("#!/bin/sh\necho 'write /x: no space left on device' >&2\nexit 1\n")
    full.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    with pytest.raises(DeployError, match="The disk filled up while building the tool") as caught:
        build(source, tmp_path / "tool")

    assert "Free some gigabytes" in caught.value.advice


@needs_go
def test_an_unknown_module_is_an_error_of_go(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOPROXY", "off")

    with pytest.raises(ProcessError):
        module_dir(source, "example.invalid/none@v1.0.0", cache=load_workspace().cache)
