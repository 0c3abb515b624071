"""A Pulumi project in a temporary folder, run by the real engine with our plugins."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.engine import Engine, ensure_engine
from deployer.plugins import install
from deployer.report import Silent
from deployer.workspace import ROOT, Workspace, load_workspace

_FILE = "name: trial\nruntime:\n  name: python\n  options:\n    virtualenv: {virtualenv}\n"


def find_engine() -> Engine:
    """Return the engine; `./stampchat test` has brought it before the first test."""
    return ensure_engine(load_workspace(), Silent())


@dataclass(frozen=True)
class EngineProject:
    """A project with one stack.

    Attributes:
        folder: where Pulumi.yaml and __main__.py are.
        pulumi: the engine.
        environ: its environment.
    """

    folder: Path
    pulumi: Path
    environ: Mapping[str, str]

    def write(self, program: str) -> None:
        """Set the program."""
        (self.folder / "__main__.py").write_text(program)

    def run(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the engine on the stack; a failure shows what it printed."""
        done = subprocess.run(
            self.command(*args), cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"pulumi {' '.join(args)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def command(self, *args: str) -> list[str]:
        """Return an argument vector for the engine."""
        return [str(self.pulumi), *args, "--stack", "trial", "--non-interactive"]

    def up(self, *args: str) -> str:
        """Update and return what the engine printed."""
        return self.run("up", "--yes", "--skip-preview", *args).stdout

    def resources(self, *args: str) -> dict[str, dict[str, Any]]:
        """Return the resources in state by name."""
        exported = json.loads(self.run("stack", "export", *args).stdout)
        return {entry["urn"].rsplit("::", 1)[1]: entry for entry in exported["deployment"].get("resources", [])}

    def state_text(self) -> str:
        """Return everything that the backend has on disk."""
        backend = Path(self.environ["PULUMI_BACKEND_URL"].removeprefix("file://"))
        return "\n".join(path.read_text() for path in backend.rglob("*") if path.is_file())


def make_project(folder: Path, monkeypatch: pytest.MonkeyPatch, *, virtualenv: str = "") -> EngineProject:
    """Make a project whose plugins are our stand-ins, with a backend of its own."""
    engine = find_engine()
    monkeypatch.setattr(install, "_fetch_official", lambda *_args: "the test wants the stand-ins")
    workspace = Workspace(root=ROOT, home=folder / "home", cache=load_workspace().cache)
    plugins = install.install_plugins(workspace, Silent())
    assert plugins.source == "stand-in"
    project = folder / "project"
    backend = folder / "backend"
    for path in (project, backend):
        path.mkdir()
    (project / "Pulumi.yaml").write_text(_FILE.format(virtualenv=virtualenv or ROOT / ".venv"))
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
        **plugins.environment,
        "PULUMI_BACKEND_URL": f"file://{backend}",
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase of the test",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    made = EngineProject(project, engine.pulumi, environ)
    made.write("")
    made.run("stack", "init")
    return made
