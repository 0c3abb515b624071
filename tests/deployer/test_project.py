from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployer.errors import UsageError
from deployer.project import load_checkpoint, passphrase_file, state_file, write_policy_pack, write_project
from deployer.workspace import ROOT, Workspace

TRACKED = {"config": {"stampchat:place": "dev", "stampchat:replicas": 2}}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "Pulumi.yaml").write_text("name: stampchat\nruntime:\n  name: python\nmain: stacks/\n")
    return Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")


def settings(folder: Path) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((folder / "Pulumi.dev.yaml").read_text())
    return loaded


def test_the_generated_project_points_back_to_the_checkout(workspace: Workspace) -> None:
    folder = write_project(workspace, "dev", TRACKED, {})

    project = yaml.safe_load((folder / "Pulumi.yaml").read_text())
    assert project["main"] == f"{workspace.root}/stacks"
    assert project["runtime"]["options"]["virtualenv"] == sys.prefix


def test_what_only_this_checkout_knows_wins(workspace: Workspace) -> None:
    folder = write_project(workspace, "dev", TRACKED, {"stampchat:replicas": 1, "stampchat:url": "http://here"})

    expected = {"stampchat:place": "dev", "stampchat:replicas": 1, "stampchat:url": "http://here"}
    assert settings(folder)["config"] == expected


def test_the_policy_pack_runs_where_we_run(workspace: Workspace) -> None:
    """By our Python, with the protocol alone; of the checkout only `deployer` has to be there besides."""
    (workspace.root / "deployer").symlink_to(ROOT / "deployer")
    own = workspace.root / "policy"
    own.mkdir()
    (own / "__main__.py").write_text(
        "import sys\nimport pulumi\nprint(__name__, sys.prefix, hasattr(pulumi, 'Resource'), sys.argv[1])\n"
    )

    pack = write_policy_pack(workspace)

    done = subprocess.run([pack, "engine"], capture_output=True, text=True, check=True)
    assert done.stdout == f"__main__ {sys.prefix} False engine\n"


def test_the_salt_that_the_engine_wrote_is_kept(workspace: Workspace) -> None:
    folder = write_project(workspace, "dev", TRACKED, {})
    (folder / "Pulumi.dev.yaml").write_text("encryptionsalt: v1:abc\n")

    write_project(workspace, "dev", TRACKED, {})

    assert settings(folder)["encryptionsalt"] == "v1:abc"


def test_a_lost_salt_is_found_in_the_state(workspace: Workspace) -> None:
    state = state_file(workspace, "dev")
    state.parent.mkdir(parents=True)
    latest = {"secrets_providers": {"type": "passphrase", "state": {"salt": "v1:def"}}}
    state.write_text(json.dumps({"checkpoint": {"latest": latest}}))
    passphrase_file(workspace).write_text("of the state")

    folder = write_project(workspace, "dev", TRACKED, {})

    assert settings(folder)["encryptionsalt"] == "v1:def"


def test_a_lost_passphrase_is_told_and_none_is_made_that_would_open_nothing(workspace: Workspace) -> None:
    state = state_file(workspace, "dev")
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"checkpoint": {"latest": {"secrets_providers": {"state": {"salt": "v1:def"}}}}}))

    with pytest.raises(UsageError, match="passphrase of stack dev is not here"):
        write_project(workspace, "dev", TRACKED, {})

    assert not passphrase_file(workspace).exists()


def test_the_passphrase_is_made_once_and_for_its_owner_alone(workspace: Workspace) -> None:
    write_project(workspace, "dev", TRACKED, {})
    first = passphrase_file(workspace).read_text()
    write_project(workspace, "dev", TRACKED, {})

    assert passphrase_file(workspace).read_text() == first
    assert len(first) >= 32
    assert passphrase_file(workspace).stat().st_mode & 0o777 == 0o600


def test_before_the_first_update_there_is_no_checkpoint(workspace: Workspace) -> None:
    assert load_checkpoint(workspace, "dev") == {}
