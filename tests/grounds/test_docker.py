"""kind and k3d are driven by their command lines; how they fail is told in a paragraph, with what to do."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer import cluster
from deployer.cluster import Instance, Where
from deployer.cluster.docker import k3d, kind
from deployer.cluster.docker import up as docker_up
from deployer.cluster.docker.commands import PortTakenError
from deployer.errors import DeployError, UsageError
from deployer.report import Silent
from deployer.workspace import ROOT, Workspace
from tests.deployer.clusters import serve_api, write_kubeconfig
from tests.grounds.installed import StandIns, install
from tests.ports import free_port

KINDS = ["gatewayclasses", "gateways", "httproutes", "grpcroutes", "tlsroutes", "backendtlspolicies"]
READY = {"metadata": {"name": "node"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
USUAL = {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
ANSWERS: dict[str, object] = {
    "/version": {"gitVersion": "v1.34.0", "major": "1", "minor": "34"},
    "/api/v1/nodes": {"items": [READY]},
    "/apis/storage.k8s.io/v1/storageclasses": {"items": [USUAL]},
    "/apis/gateway.networking.k8s.io/v1": {"resources": [{"name": kind} for kind in KINDS]},
}
GROUNDS = pytest.mark.parametrize("ground", ["kind", "k3d"])


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=ROOT, home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def answers() -> dict[str, object]:
    """What the API of the cluster answers; a test may change it."""
    return dict(ANSWERS)


@pytest.fixture
def stand_ins(tmp_path: Path, answers: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    with serve_api(answers) as address:
        installed = install(tmp_path / "bin", write_kubeconfig(tmp_path / "theirs", {"kind-x": address}))
        # Their kubeconfigs have a current context.
        theirs = tmp_path / "theirs"
        theirs.write_text(theirs.read_text() + "current-context: kind-x\n")
        for name, value in installed.environ.items():
            monkeypatch.setenv(name, value)
        try:
            yield installed
        finally:
            installed.end()


def load(workspace: Workspace, ground: str, port: int | None = None) -> Instance:
    where = Where("kind" if ground == "kind" else "k3d")
    return cluster.load_instance(workspace, port=port or free_port(), where=where)


@GROUNDS
def test_a_cluster_is_made_once_and_kept(workspace: Workspace, stand_ins: StandIns, ground: str) -> None:
    instance = load(workspace, ground)

    first = cluster.up(workspace, instance, Silent())
    second = cluster.up(workspace, cluster.load_instance(workspace), Silent())

    assert first == second
    assert first.url == f"http://127.0.0.1:{instance.port}"
    assert "kind-x" in first.kubeconfig.read_text()
    assert first.kubeconfig.stat().st_mode & 0o777 == 0o600
    made = stand_ins.calls("kind", "create") + stand_ins.calls("k3d", "cluster", "create")
    assert len(made) == 1
    assert cluster.status(workspace).node_ready


@GROUNDS
def test_a_stopped_cluster_is_started_and_a_purged_one_is_gone(
    workspace: Workspace, stand_ins: StandIns, ground: str, answers: dict[str, object]
) -> None:
    instance = load(workspace, ground)
    cluster.up(workspace, instance, Silent())

    cluster.down(workspace)
    stopped = stand_ins.state()["clusters"]
    version, answers["/version"] = answers["/version"], 503
    assert not cluster.status(workspace).running
    answers["/version"] = version
    cluster.down(workspace, purge=True)

    assert [each["proxy"] for each in stopped.values()] == [0]
    assert stand_ins.state()["clusters"] == {}
    assert not workspace.cluster.exists()
    assert not workspace.instance.exists()


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """Keep one image in an archive."""
    archive = tmp_path / "services.tar"
    archive.touch()
    return {"stampchat.local/services@sha256:1": archive}


@GROUNDS
def test_images_are_loaded_once_and_again_into_a_new_cluster(
    workspace: Workspace, stand_ins: StandIns, ground: str, images: dict[str, Path]
) -> None:
    archives = [str(path) for path in images.values()]
    cluster.up(workspace, load(workspace, ground), Silent())

    for _ in range(2):
        cluster.load_images(workspace, images, Silent())
    assert stand_ins.state()["images"] == archives

    cluster.down(workspace, purge=True)
    cluster.up(workspace, load(workspace, ground), Silent())
    cluster.load_images(workspace, images, Silent())
    assert stand_ins.state()["images"] == archives * 2


@GROUNDS
@pytest.mark.parametrize(
    ("fault", "said", "advice"),
    [
        ("away", "Docker does not answer", "systemctl start docker"),
        ("denied", "may not speak to Docker", "usermod -aG docker"),
        ("old", "is too old", "Install a newer"),
        ("init", "failed with status 1", "run this again"),
    ],
)
def test_what_goes_wrong_at_the_making_is_told(  # noqa: PLR0917  # the fixtures are the subject
    workspace: Workspace, stand_ins: StandIns, ground: str, fault: str, said: str, advice: str
) -> None:
    stand_ins.break_by(fault)

    with pytest.raises(DeployError, match=said) as caught:
        cluster.up(workspace, load(workspace, ground), Silent())

    assert advice in caught.value.advice
    assert "\x1b" not in str(caught.value)
    assert stand_ins.state()["clusters"] == {}
    stand_ins.break_by("")
    assert cluster.up(workspace, cluster.load_instance(workspace), Silent()).kubeconfig.exists()


@GROUNDS
def test_a_port_that_docker_cannot_have_is_told_as_that(workspace: Workspace, stand_ins: StandIns, ground: str) -> None:
    instance = load(workspace, ground)
    with (
        socket.create_server(("127.0.0.1", instance.port)),
        pytest.raises(PortTakenError, match="gateway's port") as caught,
    ):
        cluster.up(workspace, instance, Silent())

    assert "port is already allocated" in caught.value.said
    assert "--port" in caught.value.advice
    assert stand_ins.state()["clusters"] == {}


@GROUNDS
def test_a_making_that_hangs_is_given_up(
    workspace: Workspace, stand_ins: StandIns, ground: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins.break_by("hang")
    monkeypatch.setattr(kind if ground == "kind" else k3d, "LONG", 62.0 if ground == "k3d" else 2.0)
    monkeypatch.setattr(subprocess, "run", _shorter(subprocess.run))

    with pytest.raises(DeployError, match="did not end within"):
        cluster.up(workspace, load(workspace, ground), Silent())


def _shorter(run: object) -> object:
    """Wait two seconds at most where a minute is meant."""
    assert callable(run)

    def shorter(*args: object, timeout: float, **kwargs: object) -> object:
        return run(*args, timeout=2.0 if timeout >= 61 or timeout == 2 else timeout, **kwargs)

    return shorter


@GROUNDS
def test_an_image_that_cannot_be_loaded_is_told_and_not_taken_for_loaded(
    workspace: Workspace, stand_ins: StandIns, ground: str, images: dict[str, Path]
) -> None:
    archives = [str(path) for path in images.values()]
    cluster.up(workspace, load(workspace, ground), Silent())
    stand_ins.break_by("load")

    with pytest.raises(DeployError, match=f"stampchat.local/services could not be loaded into the {ground}") as caught:
        cluster.load_images(workspace, images, Silent())

    assert "no space left on device" in caught.value.said
    stand_ins.break_by("")
    cluster.load_images(workspace, images, Silent())
    assert stand_ins.state()["images"] == archives


@GROUNDS
def test_a_program_that_is_not_there_is_named_with_its_place(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ground: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(DeployError, match=f"There is no `{ground}` on PATH") as caught:
        cluster.up(workspace, load(workspace, ground), Silent())

    assert "https://k" in caught.value.advice


def test_a_node_that_never_gets_ready_and_an_old_kubernetes_are_told(
    workspace: Workspace, stand_ins: StandIns, answers: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    del stand_ins
    monkeypatch.setattr("deployer.cluster.access._PATIENCE", 0.0)
    answers["/api/v1/nodes"] = {"items": []}
    with pytest.raises(DeployError, match=r"did not come up within .*: no node is ready"):
        cluster.up(workspace, load(workspace, "kind"), Silent())
    answers["/api/v1/nodes"] = {"items": [READY]}
    answers["/apis/storage.k8s.io/v1/storageclasses"] = {"items": []}
    with pytest.raises(DeployError, match="it has no default StorageClass"):
        cluster.up(workspace, cluster.load_instance(workspace), Silent())
    answers.update(ANSWERS, **{"/version": {"gitVersion": "v1.28.9", "major": "1", "minor": "28+"}})

    with pytest.raises(DeployError, match=r"is v1\.28\.9, and pods need 1\.30"):
        cluster.up(workspace, cluster.load_instance(workspace), Silent())


def test_a_port_is_for_good_and_so_is_the_ground(workspace: Workspace, stand_ins: StandIns) -> None:
    instance = load(workspace, "kind")
    cluster.up(workspace, instance, Silent())

    with pytest.raises(UsageError, match="cannot be changed later"):
        cluster.load_instance(workspace, port=instance.port + 1)
    with pytest.raises(UsageError, match=r"on another cluster \(kind\), and you ask for k3d"):
        cluster.load_instance(workspace, where=Where("k3d"))
    with pytest.raises(UsageError, match="cluster down --purge"):
        cluster.load_instance(workspace, where=Where())
    assert cluster.load_instance(workspace) == instance
    assert len(stand_ins.calls("kind", "create")) == 1


def test_what_is_usual_is_not_written_down(workspace: Workspace) -> None:
    """Earlier versions read no more than they know."""
    cluster.load_instance(workspace, port=free_port())

    assert set(json.loads(workspace.instance.read_text())) == {"name", "number", "port"}
    assert docker_up.maker_of("k3d", workspace).program == "k3d"
