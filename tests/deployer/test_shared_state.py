"""A stack whose state lies in a place that a team shares."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deployer.errors import DeployError
from deployer.outputs import require_state
from deployer.report import Silent
from deployer.secrets.catalogue import AUTH_DATABASE
from deployer.secrets.store import store
from deployer.stack import open_stack
from deployer.stack_file import load_stack_file
from deployer.workspace import ROOT, Workspace, load_workspace

URL = "postgresql://app:hush@db.cloud/stamp_chat?sslmode=verify-full"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Make a checkout of the stack files alone."""
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, root / name)
    (root / "deployer").symlink_to(ROOT / "deployer")
    return Workspace(root=root, home=root / ".stampchat", cache=load_workspace().cache)


def test_the_state_of_prod_goes_where_the_variable_says_and_dev_s_stays(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another checkout with the same variable and passphrase sees it; so does the engine's own command."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{shared}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "the team's own")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    settings = load_stack_file(workspace.root / "Pulumi.prod.yaml")
    prod = open_stack(workspace, "prod", settings, Silent())
    assert not prod.is_kept_here
    assert not prod.exists()
    with pytest.raises(DeployError, match="has not been brought up to file://"):
        require_state(prod)

    store(workspace, "prod", {AUTH_DATABASE: URL}, {}, Silent())

    assert prod.exists()
    assert prod.checkpoint().get("resources") in (None, [])
    assert json.loads(prod.read("stack", "history", "--json") or "[]") == []
    assert list(shared.rglob("prod.json"))
    assert "KUBECONFIG" not in prod.environ
    assert not (workspace.state / "backend" / ".pulumi").exists()
    dev = open_stack(workspace, "dev", load_stack_file(workspace.root / "Pulumi.dev.yaml"), Silent())
    assert dev.is_kept_here
    assert dev.environ["KUBECONFIG"] == str(workspace.cluster / "kubeconfig")
