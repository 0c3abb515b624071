from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from deployer.cluster.instance import instance_name
from deployer.errors import DeployError
from deployer.project import state_file
from deployer.stack import current_context, forget_lost_cluster, is_embedded, local_values
from deployer.workspace import Workspace

ONE, OTHER = "6f1f6a0e-7f0c-4c2f-9d57-0d4f7d6a2b11", "0b5ad5d4-50a5-4a4d-8a26-6a7d0c3b1a22"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "Pulumi.yaml").write_text("name: stampchat\n")
    found = Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")
    found.cluster.mkdir(parents=True)
    write_kubeconfig(found, "first")
    return found


def write_kubeconfig(workspace: Workspace, authority: str) -> None:
    clusters = [{"name": "c", "cluster": {"certificate-authority-data": authority, "server": "https://10.231.1.2"}}]
    content = {"current-context": "stampchat-abc", "clusters": clusters}
    (workspace.cluster / "kubeconfig").write_text(yaml.safe_dump(content))


def write_state(workspace: Workspace) -> Path:
    path = state_file(workspace, "dev")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"checkpoint": {}}))
    return path


def test_a_restarted_cluster_keeps_its_state(workspace: Workspace) -> None:
    """Also when its authority has a new certificate."""
    state = write_state(workspace)

    assert [forget_lost_cluster(workspace, "dev", ONE) for _ in range(2)] == [False, False]
    write_kubeconfig(workspace, "second")
    assert not forget_lost_cluster(workspace, "dev", ONE)
    assert state.exists()


def test_a_state_of_a_cluster_that_is_gone_is_set_aside(workspace: Workspace) -> None:
    state = write_state(workspace)
    forget_lost_cluster(workspace, "dev", ONE)

    assert forget_lost_cluster(workspace, "dev", OTHER)
    assert not state.exists()
    assert list((workspace.state / "lost").iterdir())
    assert not forget_lost_cluster(workspace, "dev", OTHER)


@pytest.mark.parametrize(("authority", "lost"), [("first", False), ("second", True)])
def test_a_cluster_that_an_earlier_version_noted_is_known_again(
    workspace: Workspace,
    authority: str,
    lost: bool,  # noqa: FBT001  # a table
) -> None:
    """It was known by the certificate of its authority."""
    state = write_state(workspace)
    workspace.state.mkdir(exist_ok=True)
    noted = hashlib.sha256(repr(["first"]).encode()).hexdigest()
    (workspace.state / "cluster-of-dev").write_text(noted)
    write_kubeconfig(workspace, authority)

    assert forget_lost_cluster(workspace, "dev", ONE) is lost
    assert state.exists() is not lost
    assert not forget_lost_cluster(workspace, "dev", ONE)


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"something else"])
def test_a_damaged_note_sets_nothing_aside(workspace: Workspace, note: bytes) -> None:
    """Who knows nothing better goes on with what is there."""
    state = write_state(workspace)
    workspace.state.mkdir(exist_ok=True)
    (workspace.state / "cluster-of-dev").write_bytes(note)

    assert not forget_lost_cluster(workspace, "dev", ONE)
    assert state.exists()
    assert (workspace.state / "cluster-of-dev").read_text() == ONE


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"a: [", b"clusters: []"])
def test_a_damaged_kubeconfig_is_said_in_one_paragraph(workspace: Workspace, content: bytes) -> None:
    """With the command that mends it."""
    (workspace.cluster / "kubeconfig").write_bytes(content)

    with pytest.raises(DeployError, match=r"kubeconfig is damaged.*\n.*cluster up"):
        current_context(workspace.cluster / "kubeconfig")


def test_the_program_is_told_where_this_checkout_keeps_things(workspace: Workspace) -> None:
    instance = {"name": instance_name(workspace.home), "number": 7, "port": 8081}
    workspace.instance.write_text(json.dumps(instance))

    assert local_values(workspace, {"config": {"stampchat:place": "dev"}}) == {
        "stampchat:kubeconfig": f"{workspace.cluster}/kubeconfig",
        "stampchat:context": "stampchat-abc",
        "stampchat:imagesFile": f"{workspace.images}",
        "stampchat:url": "http://127.0.0.1:8081",
    }
    assert current_context(workspace.cluster / "kubeconfig") == "stampchat-abc"


def test_a_cluster_that_is_not_ours_gets_no_values_of_ours(workspace: Workspace) -> None:
    assert local_values(workspace, {"config": {"stampchat:place": "prod"}}) == {}


@pytest.mark.parametrize(("place", "expected"), [("dev", True), ("prod", False)])
def test_only_place_dev_has_a_cluster_of_ours(place: str, expected: bool) -> None:  # noqa: FBT001  # a table
    assert is_embedded({"config": {"stampchat:place": place}}) is expected
