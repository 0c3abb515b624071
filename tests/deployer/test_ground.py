"""Where the cluster of stack dev is to be, before anything is noted of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.cluster import Choice, Where, stored_instance
from deployer.errors import DeployError, UsageError
from deployer.ground import check_where
from deployer.local_cluster import start, stop
from deployer.report import Silent
from deployer.up import UpOptions, _Run
from deployer.workspace import Workspace
from tests.deployer.clusters import write_kubeconfig
from tests.deployer.recorder import Recorder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A checkout that nothing was brought up from, on a machine with one context and no Docker."""
    write_kubeconfig(tmp_path / "kubeconfig", {"managed": "https://1.2.3.4"})
    settings = f"config:\n  stampchat:place: dev\n  stampchat:kubeconfig: {tmp_path / 'kubeconfig'}\n"
    (tmp_path / "Pulumi.dev.yaml").write_text(settings)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("deployer.disk.free_disk", lambda _: 1 << 50)
    return Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("mangaed", "There is no context 'mangaed'.*which has managed.*"),
        ("managed", "pulls its images from a registry, and stack dev names none"),
        ("kind", "kind"),
        ("k3d", "k3d"),
    ],
)
def test_what_cannot_be_had_is_refused_and_not_noted(workspace: Workspace, word: str, says: str) -> None:
    """Or every later `up` without a word would go by it."""
    run = _Run(workspace, UpOptions(cluster=word))
    with pytest.raises(DeployError, match=f"(?s){says}"):
        run.check_machine(Recorder())

    assert stored_instance(workspace) is None


def test_the_cluster_alone_is_refused_as_well(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="There is no context 'mangaed'"):
        start(workspace, None, Choice(), Silent(), wanted="mangaed")

    assert stored_instance(workspace) is None


@pytest.mark.parametrize("purge", [False, True])
def test_where_there_is_no_cluster_none_is_said_to_be_stopped(tmp_path: Path, *, purge: bool) -> None:
    """Of a folder that is another's, say, or one that is purged already."""
    (tmp_path / "Pulumi.yaml").write_text("name: stampchat\n")
    workspace = Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")
    assert not stop(workspace, Silent(), purge=purge)
    assert stored_instance(workspace) is None


def test_a_port_that_is_not_ours_is_not_opened_to_others(workspace: Workspace) -> None:
    where = Where("context", "managed", str(workspace.root / "kubeconfig"))
    with pytest.raises(UsageError, match=r"--lan is for the embedded cluster, and stack dev is on another \(context"):
        check_where(workspace, where, lan=True)

    assert check_where(workspace, where, lan=None) == where
    assert check_where(workspace, None, lan=True) == Where()
