from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deployer.cluster.instance import instance_name
from deployer.project import state_file
from deployer.stack import current_context, forget_lost_cluster, is_embedded, local_values
from deployer.workspace import Workspace


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
    state = write_state(workspace)

    assert [forget_lost_cluster(workspace, "dev") for _ in range(2)] == [False, False]
    assert state.exists()


def test_a_state_of_a_cluster_that_is_gone_is_set_aside(workspace: Workspace) -> None:
    state = write_state(workspace)
    forget_lost_cluster(workspace, "dev")
    write_kubeconfig(workspace, "second")

    assert forget_lost_cluster(workspace, "dev")
    assert not state.exists()
    assert list((workspace.state / "lost").iterdir())


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
