from __future__ import annotations

from pathlib import Path

import pytest

from deployer.local.layout import SERVICES, forget_system_folder, is_passable, leftovers, load_layout
from deployer.workspace import Workspace
from infra.catalogue import APPLICATIONS


def test_the_services_are_those_that_are_deployed() -> None:
    here = {(service.name, service.module, service.public_port, service.internal_port) for service in SERVICES}

    assert here == {(each.key, each.module, each.public_port, each.internal_port) for each in APPLICATIONS}


def test_a_folder_is_passable_when_every_folder_above_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "open" / "below"
    folder.mkdir(parents=True)
    tmp_path.chmod(0o700)
    assert not is_passable(folder)
    assert is_passable(Path("/usr/bin"))
    assert is_passable(Path("/usr/not-there"))


def test_roots_database_lies_where_its_user_can_reach_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    tmp_path.chmod(0o700)

    database = load_layout(workspace).database

    assert database.parent == tmp_path / "system"
    assert leftovers(workspace) == []
    database.mkdir(parents=True)
    assert leftovers(workspace) == [database]


def test_an_ordinary_users_database_lies_with_the_rest(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert load_layout(workspace).database == workspace.home / "local" / "postgres"
    assert leftovers(workspace) == []


def test_the_systems_folder_goes_with_the_last_of_its_databases(workspace: Workspace, tmp_path: Path) -> None:
    system = tmp_path / "system"
    forget_system_folder()
    (system / "another").mkdir(parents=True)

    forget_system_folder()
    assert system.exists()
    (system / "another").rmdir()
    forget_system_folder()
    assert not system.exists()
    assert not workspace.home.exists()
