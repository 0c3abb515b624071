"""The registry of this checkout's own cluster, found by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer import cluster
from deployer.cluster import Choice, Instance
from deployer.cluster.instance import instance_name
from deployer.errors import DeployError
from deployer.own_registry import located, own_registry
from deployer.registry import parse_registry
from deployer.workspace import Workspace

NAME = f"{cluster.REGISTRY_NAME}/team"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")


def choose(workspace: Workspace, *, registry: bool) -> None:
    """Say whether the checkout's cluster is to have a registry."""
    cluster.choose(workspace, Instance(instance_name(workspace.home), 7, 8081), Choice(registry=registry))


def test_a_cluster_without_one_says_how_to_get_one(workspace: Workspace) -> None:
    """Whether there was a cluster or not."""
    for made in (False, True):
        if made:
            choose(workspace, registry=False)
        with pytest.raises(DeployError, match="no registry") as caught:
            own_registry(workspace)
        assert "cluster up --registry" in caught.value.advice


def test_its_name_leads_to_its_address_with_its_authority_and_password(workspace: Workspace) -> None:
    """References keep the name, and requests go to the address, by https whatever was said."""
    choose(workspace, registry=True)
    found = own_registry(workspace)
    found.password_file.parent.mkdir(parents=True)
    found.password_file.write_text("made-up-4711")

    place, shown = located(workspace, parse_registry(NAME, insecure=True))

    assert place.prefix == NAME
    assert place.base == "https://10.231.7.2:5000"
    assert place.authority == found.authority
    assert shown is not None
    assert (shown.username, shown.password) == (found.username, "made-up-4711")


def test_any_other_name_is_left_as_it_is(workspace: Workspace) -> None:
    """Its credentials are Docker's."""
    name = parse_registry("registry.your-company.net/team")

    assert located(workspace, name) == (name, None)
