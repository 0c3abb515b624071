"""Nothing goes by accident: a question with the cluster's name, and protection that a name typed takes away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.destroy import Consent, destroy, protected_resources
from deployer.errors import DeployError, UsageError
from deployer.events import Reader
from deployer.project import load_checkpoint
from deployer.report import Silent
from deployer.stack import open_stack
from deployer.stack_file import load_stack_file
from deployer.workspace import Workspace
from tests.deployer.clusters import VERSION, make_prod, serve_api, write_kubeconfig
from tests.deployer.recorder import Recorder

PROGRAM = """
import pulumi
import pulumi_random

pulumi_random.RandomPassword("private-key-1", length=8, opts=pulumi.ResourceOptions(protect=True))
pulumi_random.RandomPassword("rollout-key", length=8)
"""


# How the programs rotate a key: the newest is protected, the one before it not any more.
ROTATING = """
import pulumi
import pulumi_random

pulumi_random.RandomPassword("private-key-1", length=8)
pulumi_random.RandomPassword("private-key-2", length=8, opts=pulumi.ResourceOptions(protect=True))
"""
ROTATED = """
import pulumi
import pulumi_random

pulumi_random.RandomPassword("private-key-2", length=8, opts=pulumi.ResourceOptions(protect=True))
"""


def bring_up(workspace: Workspace, program: str) -> tuple[int, str]:
    """Run a program as stack prod by the real engine."""
    (workspace.root / "stacks" / "__main__.py").write_text(program)
    pulumi = open_stack(workspace, "prod", load_stack_file(workspace.root / "Pulumi.prod.yaml"), Silent())
    pulumi.init_stack()
    reader = Reader()
    status, said = pulumi.stream("up", "--yes", "--skip-preview", on_event=reader.read)
    return status, said + str(reader.outcome.errors)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Bring up a stack prod of two passwords, one of them protected, by the real engine."""
    workspace = make_prod(tmp_path)
    (workspace.root / "stacks").mkdir()
    with serve_api(VERSION) as server:
        write_kubeconfig(tmp_path / "kubeconfig", {"managed": server, "other": server})
        status, said = bring_up(workspace, PROGRAM)
        assert status == 0, said
        yield workspace


def names(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Return the resources that there are, and those that are protected."""
    checkpoint = load_checkpoint(workspace, "prod")
    made = [entry["urn"].rpartition("::")[2] for entry in checkpoint.get("resources") or [] if "result" in str(entry)]
    return sorted(made), [resource.name for resource in protected_resources(checkpoint)]


def test_what_is_protected_goes_by_its_stacks_name_alone(workspace: Workspace) -> None:
    """Every other way leaves all as it was: without the option, with a yes, with another name."""
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    def type_wrong(question: str) -> str:
        asked.append(question)
        return "pord"

    whole = names(workspace)
    assert whole == (["private-key-1", "rollout-key"], ["private-key-1"])
    with pytest.raises(UsageError, match="1 protected resources, so nothing was deleted") as caught:
        destroy(workspace, "prod", Recorder(), Consent(yes))
    assert "RandomPassword private-key-1" in caught.value.said
    assert "--unprotect" in caught.value.advice
    assert asked == []
    with pytest.raises(UsageError, match="not the stack's name"):
        destroy(workspace, "prod", Recorder(), Consent(yes, unprotect=True, type_name=type_wrong))
    (question,) = asked
    assert "on the cluster 'managed' (http://127.0.0.1:" in question
    assert "2 resources are about to be deleted" in question
    assert names(workspace) == whole

    check_that_a_cluster_that_is_gone_is_told_first(workspace)
    assert names(workspace) == whole

    outcome = destroy(workspace, "prod", Recorder(), Consent(yes, unprotect=True, type_name=lambda _: "prod"))

    assert outcome.counts["delete"] >= 2
    assert names(workspace) == ([], [])


def check_that_a_cluster_that_is_gone_is_told_first(workspace: Workspace) -> None:
    """Its context is not in the kubeconfig any more, or nobody answers there; and nobody is asked anything."""
    consent = Consent(lambda _: pytest.fail("asked"), unprotect=True, type_name=lambda _: pytest.fail("asked"))
    path = workspace.root.parent / "kubeconfig"
    there = path.read_text(encoding="utf-8")
    write_kubeconfig(path, {"another": "http://127.0.0.1:1"})
    with pytest.raises(UsageError, match="which has another"):
        destroy(workspace, "prod", Recorder(), consent)
    write_kubeconfig(path, {"managed": "http://127.0.0.1:1"})
    with pytest.raises(DeployError, match="does not answer"):
        destroy(workspace, "prod", Recorder(), consent)
    path.write_text(there, encoding="utf-8")


def test_a_rotation_drops_the_older_key_and_nothing_else_does(workspace: Workspace) -> None:
    """A key that is still the newest stays, whatever the config says by mistake."""
    status, said = bring_up(workspace, ROTATED)
    assert status != 0
    assert "protected" in said
    assert "private-key-1" in names(workspace)[0]

    assert bring_up(workspace, ROTATING)[0] == 0
    assert bring_up(workspace, ROTATED)[0] == 0

    assert names(workspace) == (["private-key-2"], ["private-key-2"])
