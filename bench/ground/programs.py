"""Small Pulumi programs to compare by, and how the engine runs them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.ground.trace import Work, read_work, watch_plugin
from deployer.pulumi_process import silence_log
from deployer.workspace import ROOT, Workspace, load_workspace
from tests.deployer.plugins.engine_project import EngineProject, make_project
from tests.deployer.plugins.kubernetes.programs import Entry, Trial

# Seconds of a command's own steps, by what a row calls them.
Parts = dict[str, float]

SHIM = "plugins/resource-kubernetes-v*/pulumi-resource-kubernetes"
_TEXT = "What a service is told. " * 40  # about 1 KB


def small(image: str) -> list[Entry]:
    """Return a Namespace, a Deployment of 2 that become ready, and its Service."""
    space, labels = "bench-small", {"app": "web"}
    # With a probe: without one the plugin looks for three seconds whether what is ready stays so.
    probe = {"exec": {"command": ["/bin/sh", "-c", "true"]}, "periodSeconds": 1}
    container = {
        "name": "web",
        "image": image,
        "command": ["/bin/sh", "-c", "sleep 99999"],
        "readinessProbe": probe,
    }
    return [
        _namespace(space),
        _deployment("web", space, replicas=2, container=container),
        _entry("service", "core/v1:Service", space, spec={"selector": labels, "ports": [{"port": 80}]}),
    ]


def wide(image: str, *, maps: int = 300, deployments: int = 30) -> list[Entry]:
    """Return many objects that nothing has to be waited for: the Deployments have no replicas."""
    space, container = "bench-wide", {"name": "web", "image": image}
    return [
        _namespace(space),
        *(
            _entry(f"map-{number:03}", "core/v1:ConfigMap", space, data={"text": _TEXT, "number": str(number)})
            for number in range(maps)
        ),
        *(_deployment(f"web-{number:02}", space, replicas=0, container=container) for number in range(deployments)),
    ]


def _namespace(name: str) -> Entry:
    return Entry("space", "core/v1:Namespace", {"metadata": {"name": name}})


def _entry(name: str, kind: str, space: str, **inputs: Any) -> Entry:
    return Entry(name, kind, {"metadata": {"name": name, "namespace": space}, **inputs}, {"after": ["space"]})


def _deployment(name: str, space: str, *, replicas: int, container: dict[str, Any]) -> Entry:
    labels = {"app": name}
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return _entry(name, "apps/v1:Deployment", space, spec=spec)


@dataclass(frozen=True)
class Program:
    """Run one program by the engine, without our command line.

    Attributes:
        project: its project.
        notes: where the plugin notes what it does.
        plugin: what the engine starts for the plugin, where nobody watches it.
    """

    project: EngineProject
    notes: Path
    plugin: Path

    def up(self) -> Parts:
        """Update."""
        self.project.up()
        return {}

    def up_again(self) -> Parts:
        """Update, and find nothing to change."""
        return self.up()

    def preview(self) -> Parts:
        """Plan, and find nothing to change."""
        self.project.run("preview", "--expect-no-changes")
        return {}

    def refresh(self) -> Parts:
        """Look at what is there."""
        self.project.run("refresh", "--yes", "--skip-preview")
        return {}

    def destroy(self) -> Parts:
        """Take it away."""
        self.project.run("destroy", "--yes", "--skip-preview")
        return {}

    def engine_preview(self) -> None:
        """Do nothing: `preview` is by the engine alone already."""

    def work(self, seconds: float) -> Work | None:
        """Return what the plugin did in the last command, which took so many seconds."""
        return read_work(self.notes, seconds)

    def export(self) -> dict[str, Any]:
        """Return the state, with its secrets."""
        return dict(json.loads(self.project.run("stack", "export", "--show-secrets").stdout))


@contextmanager
def open_program(folder: Path, kubeconfig: Path, entries: list[Entry]) -> Iterator[Program]:
    """Make a project in an empty folder, whose plugin is watched."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        project = make_project(folder, patch, virtualenv=sys.prefix)
        silence_log(Workspace(root=ROOT, home=folder / "home", cache=load_workspace().cache))
        Trial(project, {"kubeconfig": str(kubeconfig)}).write(*entries)
        shim, plugin, notes = find_shim(Path(project.environ["PULUMI_HOME"])), folder / "plugin", folder / "notes"
        shutil.copy2(shim, plugin)
        watch_plugin(shim, notes)
        yield Program(project, notes, plugin)


def find_shim(pulumi_home: Path) -> Path:
    """Return what the engine starts for the Kubernetes plugin."""
    (shim,) = pulumi_home.glob(SHIM)
    return shim
