"""Stack dev goes to a cluster that kind "makes", and to one that a context names, by the steps that it always takes.

kind and Docker are stood in for; the cluster behind them is real, and so is everything that is put into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer import cluster
from deployer.cluster.embedded.box import find_init
from deployer.cluster.embedded.layout import CONTAINERD_SOCKET
from deployer.cluster.embedded.programs import ensure_programs
from deployer.report import Silent
from tests.checkouts import Copy, in_a_copy
from tests.conftest import EmbeddedCluster, skip_without_cluster, start, temporary_workspace
from tests.grounds.installed import StandIns, install
from tests.ports import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.e2e]


@pytest.fixture
def real(tmp_path: Path) -> Iterator[EmbeddedCluster]:
    """Run a cluster that the stand-ins hand out as theirs."""
    skip_without_cluster()
    workspace = temporary_workspace(tmp_path / "theirs")
    try:
        yield start(workspace)
    finally:
        cluster.down(workspace, purge=True)


@pytest.fixture
def stand_ins(real: EmbeddedCluster, tmp_path: Path) -> Iterator[StandIns]:
    """Install them in front of that cluster, images included."""
    programs = ensure_programs(real.workspace, Silent())
    libraries = programs.debian / "usr" / "lib" / programs.library_folder
    ctr = ["env", f"LD_LIBRARY_PATH={libraries}", str(programs.debian / "usr" / "bin" / "ctr")]
    socket = f"/proc/{find_init(real.instance.name)}/root{CONTAINERD_SOCKET}"
    importing = [*ctr, "--address", socket, "--namespace", "k8s.io", "images", "import"]
    installed = install(tmp_path / "bin", real.info.kubeconfig, node=real.info.address, importing=importing)
    try:
        yield installed
    finally:
        installed.end()


@pytest.fixture
def copy(stand_ins: StandIns, tmp_path: Path) -> Iterator[Copy]:
    with in_a_copy(tmp_path / "copy") as made:
        made.environ |= stand_ins.environ
        yield made


@pytest.mark.timeout(1800)
def test_two_people_chat_on_a_cluster_that_kind_has_made(
    copy: Copy, stand_ins: StandIns, real: EmbeddedCluster
) -> None:
    port = free_port()

    up = copy.json("up", "--cluster", "kind", "--port", str(port))
    smoke = copy.json("smoke")
    status = copy.json("status")
    again = copy.json("up")

    assert up["url"] == f"http://127.0.0.1:{port}"
    assert smoke["passed"]
    assert status["ready"]
    assert again["changes"].get("create", 0) == 0
    assert len(stand_ins.state()["images"]) == 3
    assert len(stand_ins.calls("kind", "create")) == 1
    copy.run("destroy", "--yes")
    copy.run("cluster", "down", "--purge", "--yes")
    assert stand_ins.state()["clusters"] == {}
    refuse_without_images_and_ask_with_them(copy, real)


def refuse_without_images_and_ask_with_them(copy: Copy, real: EmbeddedCluster) -> None:
    """Go to the same cluster by its context: what it lacks is told, and nothing is changed unless somebody says yes."""
    context, file = real.info.name, copy.root / "Pulumi.dev.yaml"
    copy.environ["KUBECONFIG"] = str(real.info.kubeconfig)

    assert "images push" in failed(copy, 2, "up", "--cluster", context)
    with file.open("a") as config:
        config.write("  stampchat:imagesFile: .stampchat/images.json\n")
    assert f"There is no context 'nowhere' in {real.info.kubeconfig}" in failed(copy, 2, "up", "--cluster", "nowhere")
    said = failed(copy, 2, "up", "--cluster", context)

    assert f"{context!r} ({real.info.address}" in said.replace("https://", "") or context in said
    assert "Not confirmed; nothing was changed." in said
    assert "68 to create" in said


def failed(copy: Copy, status: int, *args: str) -> str:
    """Run a command that fails, and return what it says."""
    with copy.begin(*args) as process:
        out, err = process.communicate()
    assert process.returncode == status, out + err
    return err
