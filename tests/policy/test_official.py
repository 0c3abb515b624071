"""The pack as it stands in the checkout, run by the real CLI as anybody runs a pack, without our commands."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.workspace import ROOT
from infra.builders.objects import namespace
from tests.conftest import EmbeddedCluster
from tests.deployer.plugins.engine_project import EngineProject, make_project
from tests.deployer.plugins.kubernetes.programs import Entry, Trial

PACK = ROOT / "policy"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineProject:
    """Make a project beside an unchanged copy of the pack, and beside that an environment as the launcher makes it."""
    shutil.copytree(PACK, tmp_path / "policy", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return make_project(tmp_path, monkeypatch, virtualenv=sys.prefix)


@pytest.mark.cluster
@pytest.mark.parametrize(("level", "refused"), [("restricted", False), ("privileged", True)])
def test_a_violation_stops_a_preview_of_anybody_s(
    project: EngineProject, embedded_cluster: EmbeddedCluster, level: str, *, refused: bool
) -> None:
    """The pack judges; what keeps to every rule passes."""
    trial = Trial(project, {"kubeconfig": str(embedded_cluster.info.kubeconfig)})
    manifest: dict[str, Any] = namespace("of-the-pack")
    manifest["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = level
    trial.write(Entry("home", "core/v1:Namespace", {"metadata": manifest["metadata"]}))

    done = project.run("preview", "--policy-pack", "../policy", check=False)

    said = done.stdout + done.stderr
    assert (done.returncode != 0) is refused, said
    assert "stampchat" in said
    assert ("it does not enforce Pod Security's restricted level" in said) is refused, said


def test_the_pack_asks_of_the_official_host_what_that_knows() -> None:
    """A runtime, an environment relative to the pack (the SDK's toolchain/pip.go), and what it imports is locked."""
    pack = yaml.safe_load((PACK / "PulumiPolicy.yaml").read_text(encoding="utf-8"))

    assert set(pack) <= {"description", "runtime", "main", "version", "author", "website", "license"}
    assert pack["runtime"] == {"name": "python", "options": {"virtualenv": "../.venv"}}
    assert (PACK / pack["main"] / "__main__.py").exists()
    assert "\npulumi==" in (ROOT / "requirements.lock").read_text(encoding="utf-8")
