"""What a cluster is told of a program that it gets later than its start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployer.cluster.embedded import serving
from deployer.cluster.embedded.builds import place
from deployer.cluster.embedded.extras import METRICS_SERVER
from deployer.cluster.embedded.layout import Layout, layout_of
from deployer.cluster.model import Instance
from deployer.workspace import ROOT, Workspace

RIGHTS = {"ClusterRole", "ClusterRoleBinding", "RoleBinding"}


class Told:
    """Be an API server that remembers what it was given."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.deleted: list[str] = []

    def apply(self, _path: str, body: bytes) -> None:
        self.kinds.add(json.loads(body)["kind"])

    def delete(self, path: str) -> None:
        self.deleted.append(path)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=ROOT, home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def layout(workspace: Workspace) -> Layout:
    found = layout_of(workspace, Instance(name="stampchat-0a1b2c", number=7, port=8080))
    found.pki.mkdir(parents=True)
    (found.pki / "ca.crt").write_text("a certificate")
    return found


def _tell(workspace: Workspace, layout: Layout, monkeypatch: pytest.MonkeyPatch, *states: dict[str, Any]) -> Told:
    monkeypatch.setattr(serving, "find_init", lambda _: 1)
    monkeypatch.setattr(serving, "box_status", lambda _: list(states))
    told = Told()
    serving.apply_extras(workspace, layout, told)  # type: ignore[arg-type]  # as much of it as is asked
    return told


def test_what_is_still_being_built_has_its_rights_before_it_starts(
    workspace: Workspace, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends without them, at every start later than at the one before."""
    told = _tell(workspace, layout, monkeypatch)

    assert told.kinds == RIGHTS
    assert [path.rpartition("/")[2] for path in told.deleted] == ["v1beta1.metrics.k8s.io"]


@pytest.mark.parametrize(("restarts", "served"), [(0, True), (3, False)])
def test_only_what_stays_up_is_served(
    workspace: Workspace,
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    restarts: int,
    served: bool,  # noqa: FBT001  # a table
) -> None:
    """An API that nobody serves would keep every namespace from being removed; rights harm nobody."""
    program = place(METRICS_SERVER.name, METRICS_SERVER.program, workspace.cache)
    program.parent.mkdir(parents=True)
    program.write_text("a program")
    state = {"name": METRICS_SERVER.name, "pid": None, "restarts": restarts, "ended": "exit status 2"}

    told = _tell(workspace, layout, monkeypatch, state)

    assert told.kinds >= RIGHTS
    assert ("APIService" in told.kinds) is served
    assert bool(told.deleted) is not served
