"""What befalls a cluster in its life: certificates that near their end, other releases, damaged files, a new start."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from deployer import cluster
from deployer.cluster.embedded.api import Api
from deployer.cluster.embedded.box import find_init
from deployer.cluster.embedded.builds import place
from deployer.cluster.embedded.configs import write_kubeconfigs
from deployer.cluster.embedded.expiry import earliest_end, renewal_due
from deployer.cluster.embedded.layout import API_PORT
from deployer.cluster.embedded.pki import issue_certificates
from deployer.cluster.embedded.programs import cluster_programs
from deployer.errors import DeployError
from deployer.versions import load_versions
from deployer.workspace import Workspace
from tests.conftest import EmbeddedCluster, start
from tests.deployer.cluster.pods import eventually, host_pid, layout, namespace

pytestmark = pytest.mark.cluster

_DAY = dt.timedelta(days=1)
# What needs no certificate, and must not end for one.
_UNTOUCHED = ("etcd", "containerd", "forward")
_WRITES = ["/bin/sh", "-c", "echo once >> /data/log; exec /bin/busybox sleep 9999"]


@pytest.fixture
def machine(second: EmbeddedCluster) -> EmbeddedCluster:
    """A running cluster with a Pod that keeps something on a volume."""
    start(second.workspace)
    with namespace(second, "kept") as kept:
        kept.claim("kept")
        kept.pod("writes", _WRITES, claim="kept")
        kept.secret("kept", "a secret of before")
        eventually(lambda: kept.phase("writes") == "Running", "a Pod with a volume")
    return second


def assert_kept(machine: EmbeddedCluster, reader: str) -> None:
    """See that the volume's content is there, for the group that may read it, and so are the objects."""
    with namespace(machine, "kept") as kept:
        script = "grep -q once /data/log && test $(stat -c %g /data/log) = 10001"
        assert kept.succeeds(reader, ["/bin/sh", "-c", script], claim="kept")
        assert kept.api.get("/api/v1/namespaces/kept/secrets/kept") is not None
        eventually(lambda: kept.phase("writes") == "Running", "the Pod of before")


def served_certificate(machine: EmbeddedCluster) -> str:
    return ssl.get_server_certificate((machine.info.address, API_PORT), timeout=60)


def restarts(machine: EmbeddedCluster) -> int:
    """Count how often the Pod's container was started again."""
    with Api(layout(machine)) as api:
        pod = api.get("/api/v1/namespaces/kept/pods/writes") or {}
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def test_certificates_near_their_end_are_renewed_and_no_pod_ends_for_it(machine: EmbeddedCluster) -> None:
    """Everything that had read the old ones has the new ones, and a kubeconfig of before still opens."""
    home = layout(machine)
    issue_certificates(home, dt.datetime.now(dt.UTC) - 800 * _DAY)
    write_kubeconfigs(home)
    assert renewal_due(home)
    pods, before = restarts(machine), {name: host_pid(machine, name) for name in _UNTOUCHED}
    server, earlier = host_pid(machine, "kube-apiserver"), Api(home)

    start(machine.workspace)

    assert not renewal_due(home)
    end = cluster.status(machine.workspace).certificates_end
    assert end is not None
    assert end > (dt.datetime.now(dt.UTC) + 1000 * _DAY).timestamp()
    assert served_certificate(machine).strip() == (home.pki / "apiserver.crt").read_text().strip()
    assert {name: host_pid(machine, name) for name in _UNTOUCHED} == before
    assert host_pid(machine, "kube-apiserver") != server
    assert restarts(machine) == pods
    with earlier as api:
        assert api.get("/api/v1/namespaces/kept") is not None
    again = host_pid(machine, "kube-apiserver")
    start(machine.workspace)
    assert host_pid(machine, "kube-apiserver") == again


def pretend(machine: EmbeddedCluster, version: str, cache: Path) -> Workspace:
    """Give a cache with a Kubernetes that says it is another patch release, as long as the present one's name."""
    present, ours = f"v{load_versions()['cluster']['kubernetes']}", machine.workspace.cache
    program = cluster_programs()["cluster"]
    built = place("cluster", program, ours).read_bytes()
    cache.mkdir()
    for entry in ours.iterdir():
        if entry.name != "cluster":
            (cache / entry.name).symlink_to(entry)
    (cache / "cluster").mkdir()
    for entry in (ours / "cluster").iterdir():
        (cache / "cluster" / entry.name).symlink_to(entry)
    load_versions()["cluster"]["kubernetes"] = version
    other = place("cluster", cluster_programs()["cluster"], cache)
    assert not other.exists()
    other.write_bytes(built.replace(present.encode(), f"v{version}".encode()))
    other.chmod(0o755)
    return replace(machine.workspace, cache=cache)


def versions(machine: EmbeddedCluster) -> set[str]:
    """Return what API server and kubelet say that they are."""
    with Api(layout(machine)) as api:
        server, node = api.get("/version") or {}, api.get(f"/api/v1/nodes/{machine.instance.name}") or {}
    return {server["gitVersion"], node["status"]["nodeInfo"]["kubeletVersion"]}


def test_another_patch_release_takes_over_with_the_data_and_a_wrong_minor_one_is_refused(
    machine: EmbeddedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up` after a change of versions.toml is all that an upgrade is; the way back is the same."""
    present = load_versions()["cluster"]["kubernetes"]
    monkeypatch.setitem(load_versions()["cluster"], "kubernetes", present)
    digit = "9" if present[-1] != "9" else "8"
    other = f"{present[:-1]}{digit}"

    upgraded = start(pretend(machine, other, tmp_path / "cache"))
    assert versions(machine) == {f"v{other}"}
    assert_kept(upgraded, "reads-upgraded")

    init = find_init(machine.instance.name)
    major, minor, _ = present.split(".")
    for refused, said in ((f"{major}.{int(minor) - 1}.0", "goes back"), (f"{major}.{int(minor) + 2}.0", "is left out")):
        monkeypatch.setitem(load_versions()["cluster"], "kubernetes", refused)
        with pytest.raises(DeployError, match=said):
            start(machine.workspace)
    assert find_init(machine.instance.name) == init

    monkeypatch.setitem(load_versions()["cluster"], "kubernetes", present)
    start(machine.workspace)
    assert versions(machine) == {f"v{present}"}
    assert_kept(machine, "reads-back")


def test_down_and_up_keep_volumes_and_whose_they_are(machine: EmbeddedCluster) -> None:
    """FsGroup's group owns what a Pod wrote, before and after."""
    assert_kept(machine, "reads-before")

    cluster.down(machine.workspace)
    start(machine.workspace)

    assert_kept(machine, "reads-after")


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe\x00"])
def test_damaged_files_are_mended_under_running_pods_and_the_port_stays(
    machine: EmbeddedCluster, damage: bytes
) -> None:
    """The kubeconfig, the instance's note, the authority's certificate and the note of the release."""
    home, whole = layout(machine), layout(machine).kubeconfig.read_bytes()
    pods, runs, init = restarts(machine), host_pid(machine, "containerd"), find_init(machine.instance.name)
    for file in (home.kubeconfig, machine.workspace.instance, home.pki / "ca.crt", home.release):
        file.write_bytes(damage)

    again = start(machine.workspace)

    assert (again.instance.port, again.info.address) == (machine.instance.port, machine.info.address)
    assert (restarts(machine), host_pid(machine, "containerd"), find_init(machine.instance.name)) == (pods, runs, init)
    assert cluster.status(machine.workspace).node_ready
    assert home.kubeconfig.read_bytes().startswith(whole[:20])
    with Api(home) as api:
        assert api.get("/api/v1/namespaces/kept") is not None


def test_a_cluster_says_what_it_costs(machine: EmbeddedCluster) -> None:
    """Its own programs without the Pods, and until when its certificates are good."""
    found = cluster.status(machine.workspace)

    assert 50 << 20 < found.own_memory_bytes <= found.memory_bytes
    assert 0 < found.own_cores < (os.cpu_count() or 1)
    assert earliest_end(layout(machine)) is not None
