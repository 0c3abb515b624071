from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from deployer.checks import check_machine, load_deployable, load_settings, stack_names
from deployer.disk import COLD_DISK, check_disk
from deployer.errors import DeployError, UsageError
from deployer.workspace import Workspace
from tests.deployer.clusters import make_prod


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for stack in ("dev", "prod"):
        (tmp_path / f"Pulumi.{stack}.yaml").write_text("config:\n  stampchat:place: dev\n")
    (tmp_path / "Pulumi.yaml").write_text("name: stampchat\n")
    return Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")


def test_the_stacks_are_those_that_have_a_file(workspace: Workspace) -> None:
    assert stack_names(workspace) == ["dev", "prod"]


def test_an_unknown_stack_is_refused_with_those_that_there_are(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="no stack 'staging'; this checkout has dev and prod") as caught:
        load_settings(workspace, "staging")

    assert caught.value.exit_code == 2


def test_broken_yaml_is_refused_with_its_line(workspace: Workspace) -> None:
    (workspace.root / "Pulumi.dev.yaml").write_text("config:\n  stampchat:place: [dev\n  x: y\n")

    with pytest.raises(UsageError, match=r"Pulumi\.dev\.yaml, line 3"):
        load_settings(workspace, "dev")


def test_every_problem_of_the_config_is_told_at_once(workspace: Workspace) -> None:
    broken = "config:\n  stampchat:place: dev\n  stampchat:replicas: many\n  stampchat:colour: red\n"
    (workspace.root / "Pulumi.dev.yaml").write_text(broken)

    with pytest.raises(UsageError, match="2 problems") as caught:
        load_settings(workspace, "dev")

    assert "replicas" in caught.value.said
    assert "colour" in caught.value.said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("- a\n- b\n", "must be a mapping"),
        ("config: 7\n", "config: must be a mapping, not int"),
        ("configs: {}\n", "configs: unknown key"),
        ("config:\n  place: dev\n", "config.place: a key is NAMESPACE:NAME"),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused(workspace: Workspace, content: str, problem: str) -> None:
    (workspace.root / "Pulumi.dev.yaml").write_text(content)

    with pytest.raises(UsageError) as caught:
        load_settings(workspace, "dev")

    assert problem in caught.value.said


def test_without_root_nothing_begins(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(UsageError, match="needs root"):
        check_machine(workspace, cold=False)


def test_a_full_disk_is_told_with_what_is_missing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))

    with pytest.raises(DeployError, match=r"has 0\.0 GiB free; the builds need 9 GiB"):
        check_disk(workspace.cache / "not" / "there" / "yet", COLD_DISK, "the builds")


class Opened:
    """Stand in for the vault of a stack whose one secret is a database's address."""

    def __init__(self, *_: object) -> None:
        pass

    def open(self) -> tuple[dict[str, str], dict[str, object]]:
        return {"stampchat:chatDatabaseUrl": "postgresql://app:hush@db.cloud/d"}, {}


class Shut(Opened):
    """Stand in for a vault under another passphrase."""

    def open(self) -> tuple[dict[str, str], dict[str, object]]:
        raise UsageError("The passphrase does not open the secrets of stack prod.")


@pytest.mark.parametrize(
    ("vault", "said"),
    [
        (Opened, "stampchat:chatDatabaseUrl does not ask for TLS"),
        (Shut, "could not be judged: The passphrase does not"),
    ],
)
def test_a_deployment_is_judged_whole_secrets_and_images_included(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vault: type, said: str
) -> None:
    """Plain keys, what is encrypted, and a tag: nobody mends one to see the next."""
    prod = make_prod(tmp_path, replicas=1, chatDatabaseUrl={"secure": "v1:abcdefgh:ijklmnop"})
    (prod.root / "images.json").write_text('{"services": "registry.net/services:latest"}')
    monkeypatch.setattr("deployer.secrets.vault.Vault", vault)
    monkeypatch.setattr("deployer.engine.is_engine_at_hand", lambda _: True)

    with pytest.raises(UsageError, match="3 problems") as caught:
        load_deployable(prod, "prod")

    for part in ("stampchat:replicas is 1, not between 2 and 100", "it names the tag 'latest'", said):
        assert part in caught.value.said
    assert "hush" not in str(caught.value)


def test_images_of_an_earlier_update_are_no_business_of_the_file(tmp_path: Path) -> None:
    """A rollback brings its own."""
    prod = make_prod(tmp_path)
    (prod.root / "images.json").unlink()

    assert load_deployable(prod, "prod", images=False)[1].place == "prod"
