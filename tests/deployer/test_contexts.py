"""Which cluster a stack names, and what is said when there is none of that name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployer.contexts import find_cluster, kubeconfig_file
from deployer.errors import UsageError
from deployer.kube import Kube
from deployer.workspace import Workspace
from tests.deployer.clusters import write_kubeconfig

SERVERS = {"managed": "https://1.2.3.4", "other": "https://5.6.7.8:6443"}


def prod(**keys: str) -> dict[str, Any]:
    return {"config": {"stampchat:place": "prod", **{f"stampchat:{key}": value for key, value in keys.items()}}}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Make a checkout with a kubeconfig of two contexts."""
    write_kubeconfig(tmp_path / "kubeconfig", SERVERS)
    return Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")


def test_a_cluster_is_named_by_context_and_server(workspace: Workspace) -> None:
    """A relative path is of the checkout, wherever the command runs."""
    found = find_cluster(workspace, prod(context="other", kubeconfig="kubeconfig"))

    assert str(found) == "'other' (https://5.6.7.8:6443)"


def test_a_context_that_is_gone_lists_those_that_are_there(workspace: Workspace) -> None:
    """And no cluster is asked."""
    settings = prod(context="gone", kubeconfig="kubeconfig")

    with pytest.raises(UsageError, match=r"'gone' is not in .*kubeconfig, which has managed and other\."):
        find_cluster(workspace, settings)
    with pytest.raises(UsageError, match="'gone' is not in"):
        Kube(workspace, settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "There is no kubeconfig at "),
        ("", "cannot be read"),
        ("contexts: [", "cannot be read"),
        ("just words", "it is no kubeconfig"),
        (
            "contexts: [{name: managed, context: {cluster: away}}]\nclusters: []\nusers: []\n",
            "whose server is not there",
        ),
    ],
)
def test_a_kubeconfig_that_is_none_is_told_with_its_place(workspace: Workspace, text: str | None, said: str) -> None:
    """What a person does next stands there as well."""
    path = workspace.root / "broken"
    if text is not None:
        path.write_text(text)

    with pytest.raises(UsageError) as caught:
        find_cluster(workspace, prod(context="managed", kubeconfig="broken"))

    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "Nothing was changed." in caught.value.advice


def test_the_users_own_kubeconfig_is_left_to_the_environment(workspace: Workspace) -> None:
    """Only a file that the stack names is named; dev's is its own cluster's."""
    assert kubeconfig_file(workspace, prod(context="managed")) is None
    assert kubeconfig_file(workspace, {"config": {"stampchat:place": "dev"}}) == str(workspace.cluster / "kubeconfig")
