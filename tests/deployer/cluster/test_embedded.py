"""The embedded cluster, for real."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deployer import cluster
from deployer.cluster import Choice
from deployer.cluster.embedded.box import find_init, socket_inside
from deployer.cluster.embedded.cgroups import hierarchies
from deployer.cluster.embedded.programs import ensure_programs
from deployer.errors import UsageError
from deployer.report import Silent
from tests.conftest import EmbeddedCluster, start, temporary_workspace
from tests.deployer.cluster.pods import (
    Namespace,
    busybox,
    eventually,
    host_pid,
    layout,
    namespace,
    status_without_a_certificate,
)
from tests.order.objects import Objects

pytestmark = pytest.mark.cluster


@pytest.fixture
def space(embedded_cluster: EmbeddedCluster, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """Give each test a namespace of its own, and see it gone: others of this cluster want its node port."""
    with (
        namespace(embedded_cluster, f"test-{zlib.crc32(request.node.name.encode())}") as made,
        closing(Objects(embedded_cluster.info.kubeconfig)) as objects,
    ):
        yield made
        objects.remove_namespaces([made.name])


def test_a_pod_with_a_volume_answers_by_name_through_its_service(space: Namespace) -> None:
    """Scheduler, kubelet, storage, DNS, kube-proxy and the pod network work together, under `restricted`."""
    space.claim("pages")
    write = "echo hello > /data/index.html && exec /bin/busybox httpd -f -p 8000 -h /data"
    space.pod("pages", ["/bin/sh", "-c", write], claim="pages")
    space.service("pages", 8000)
    eventually(lambda: space.phase("pages") == "Running", "a Pod with a volume")

    ask = "until /bin/busybox wget -qO- http://pages:8000; do /bin/busybox sleep 1; done"

    assert space.succeeds("asks", ["/bin/sh", "-c", ask])


def test_names_outside_the_cluster_are_answered_at_once(space: Namespace) -> None:
    """A box has no way out, so nobody waits for an answer from there."""
    began = time.monotonic()

    assert not space.succeeds("asks", busybox("nslookup", "example.com"))
    assert time.monotonic() - began < 60


def test_the_port_of_this_machine_leads_to_the_node_port_and_tells_who_asks(
    embedded_cluster: EmbeddedCluster, space: Namespace
) -> None:
    """The forwarder sends the PROXY protocol's line first; and with nobody behind it, it lives on."""
    port = embedded_cluster.instance.port
    assert _ask(port) == (b"", 0)

    space.pod("echo", busybox("nc", "-ll", "-p", "8000", "-e", "/bin/busybox", "cat"))
    space.service("echo", 8000, node_port=embedded_cluster.info.node_port)
    eventually(lambda: _ask(port)[0], "an answer from the Pod")

    answer, own = _ask(port)
    assert answer == f"PROXY TCP4 127.0.0.1 127.0.0.1 {own} {port}\r\nhello\n".encode()


def _ask(port: int) -> tuple[bytes, int]:
    """Say hello on a port of this machine; return what comes back, nothing if nobody is there, and our own port."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        answer = _hello(client)
        return answer, client.getsockname()[1] if answer else 0


def _hello(client: socket.socket) -> bytes:
    """Say hello on a connection, and return what comes back."""
    try:
        client.sendall(b"hello\n")
        client.shutdown(socket.SHUT_WR)
        return client.makefile("rb").read()
    except OSError:  # reset, or closed before we were done
        return b""


def test_other_machines_reach_the_port_when_that_is_asked_for_and_only_then(
    second: EmbeddedCluster, embedded_cluster: EmbeddedCluster
) -> None:
    """The other cluster's box is such a machine: it has a network, and this machine is a neighbour in it."""
    with namespace(second, "lan") as space:
        space.pod("echo", busybox("nc", "-ll", "-p", "8000", "-e", "/bin/busybox", "cat"))
        space.service("echo", 8000, node_port=second.info.node_port)
        eventually(lambda: _ask(second.instance.port)[0], "an answer from the Pod")
    assert _from(embedded_cluster, second.instance.port) is None

    _open(second, lan=True)

    eventually(lambda: _from(embedded_cluster, second.instance.port), "an answer to the other machine")
    answer = _from(embedded_cluster, second.instance.port) or b""
    assert answer.startswith(f"PROXY TCP4 {embedded_cluster.info.address} {layout(embedded_cluster).gateway} ".encode())
    assert cluster.status(second.workspace).lan
    eventually(lambda: _ask(second.instance.port)[0], "an answer to this machine")

    _open(second, lan=False)

    assert _from(embedded_cluster, second.instance.port) is None
    eventually(lambda: _ask(second.instance.port)[0], "an answer to this machine alone")


def _open(running: EmbeddedCluster, *, lan: bool) -> None:
    cluster.choose(running.workspace, cluster.load_instance(running.workspace), Choice(lan=lan))
    start(running.workspace)


def _from(elsewhere: EmbeddedCluster, port: int) -> bytes | None:
    """Ask a port of this machine from another cluster's box, by the address that this machine has there."""
    with socket_inside(find_init(elsewhere.instance.name) or 0, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        try:
            client.connect((layout(elsewhere).gateway, port))
        except ConnectionRefusedError:
            return None
        return _hello(client)


def test_secrets_are_encrypted_on_disk(embedded_cluster: EmbeddedCluster, space: Namespace) -> None:
    """No file of etcd holds what a Secret says."""
    space.secret("one", "a-value-nobody-else-writes")

    stored = b"".join(
        path.read_bytes() for path in (layout(embedded_cluster).home / "etcd").rglob("*") if path.is_file()
    )
    assert f"/registry/secrets/{space.name}/one".encode() in stored
    assert b"k8s:enc:secretbox:v1:first:" in stored
    assert b"a-value-nobody-else-writes" not in stored


@pytest.mark.parametrize(("port", "path"), [(6443, "/api/v1/secrets"), (6443, "/readyz"), (10250, "/pods")])
def test_whoever_has_no_certificate_is_refused(embedded_cluster: EmbeddedCluster, port: int, path: str) -> None:
    """The API server and the kubelet answer 401."""
    assert status_without_a_certificate(embedded_cluster, port, path) == 401


def test_up_again_changes_nothing_and_takes_no_time(embedded_cluster: EmbeddedCluster) -> None:
    """Every process stays the one it was."""
    before = cluster.status(embedded_cluster.workspace)
    began = time.monotonic()

    assert start(embedded_cluster.workspace).info == embedded_cluster.info

    assert time.monotonic() - began < 60
    assert cluster.status(embedded_cluster.workspace).components == before.components
    assert before.node_ready
    assert before.memory_bytes > 100 << 20


def test_a_port_that_our_own_cluster_holds_is_refused_to_a_second(
    embedded_cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    """Asked for by name, another checkout does not get it."""
    with pytest.raises(UsageError, match="taken by process"):
        cluster.load_instance(temporary_workspace(tmp_path), port=embedded_cluster.instance.port)


@pytest.mark.parametrize("component", ["containerd", "kube-apiserver", "etcd", "kubelet", "forward"])
def test_a_killed_component_is_started_again(second: EmbeddedCluster, component: str) -> None:
    """`up` waits until it works again."""
    killed = host_pid(second, component)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: host_pid(second, component) != killed, "the end of the killed process")

    start(second.workspace)

    assert host_pid(second, component) not in (0, killed)


def test_a_box_killed_by_hand_keeps_its_data(second: EmbeddedCluster) -> None:
    """Objects, volumes and running Pods are there again after the next `up`."""
    with namespace(second, "kept") as before:
        before.claim("kept")
        before.pod("writes", ["/bin/sh", "-c", "echo once >> /data/log; exec /bin/busybox sleep 9999"], claim="kept")
        eventually(lambda: before.phase("writes") == "Running", "a Pod with a volume")
    init = find_init(second.instance.name)
    assert init is not None
    os.kill(init, signal.SIGKILL)
    eventually(lambda: find_init(second.instance.name) is None, "the end of the box")

    start(second.workspace)

    with namespace(second, "kept") as after:
        assert after.succeeds("reads", busybox("grep", "-q", "once", "/data/log"), claim="kept")
        eventually(lambda: after.phase("writes") == "Running", "the Pod of before")


def test_a_run_cut_short_is_completed_by_the_next(second: EmbeddedCluster) -> None:
    """A box without a specification, half a configuration and a missing certificate are no obstacle."""
    home = layout(second)
    cluster.down(second.workspace)
    home.spec.unlink()
    (home.pki / "apiserver.crt").unlink()
    (home.config / "kubelet.json").write_text("{")

    start(second.workspace)

    assert cluster.status(second.workspace).node_ready


def test_down_leaves_nothing_behind_and_purge_not_even_data(second: EmbeddedCluster) -> None:
    """No process, namespace, link, mount, table or cgroup; the other cluster does not notice."""
    before = _machine(second)
    network = Path(f"/proc/{find_init(second.instance.name)}/ns/net").readlink()
    assert all(traces for kind, traces in _traces(second, network).items() if kind != "mounts")

    cluster.down(second.workspace)

    assert _traces(second, network) == {kind: [] for kind in _traces(second, network)}
    assert _machine(second) == before
    assert not cluster.status(second.workspace).running
    assert layout(second).home.exists()

    cluster.down(second.workspace, purge=True)
    cluster.down(second.workspace, purge=True)

    assert not layout(second).home.exists()
    assert not second.workspace.instance.exists()


def _traces(running: EmbeddedCluster, network: Path) -> dict[str, list[str]]:
    """Return what of a cluster is on this machine."""
    name, home = running.instance.name, str(running.workspace.home)
    processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
    return {
        "processes": [str(path) for path in processes if _in_network(path, network) or _mentions(path, home)],
        "links": [path.name for path in Path("/sys/class/net").glob(layout(running).link)],
        "mounts": [
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if home in line or name in line
        ],
        "cgroups": [str(tree.path / name) for tree in hierarchies() if (tree.path / name).exists()],
        "ports": [line for line in Path("/proc/net/tcp").read_text().splitlines() if _listens(line, running)],
    }


def _in_network(process: Path, network: Path) -> bool:
    try:
        return (process / "ns" / "net").readlink() == network
    except OSError:
        return False


def _mentions(process: Path, home: str) -> bool:
    try:
        return home in (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False


def _listens(line: str, running: EmbeddedCluster) -> bool:
    fields = line.split()
    return fields[1] == f"0100007F:{running.instance.port:04X}" and fields[3] == "0A"


def _machine(running: EmbeddedCluster) -> dict[str, object]:
    """Return what a cluster has no business changing on its machine."""
    programs = ensure_programs(running.workspace, Silent())
    listed = {
        name: subprocess.run(
            [programs.debian / program, *arguments],
            env={"LD_LIBRARY_PATH": str(programs.debian / "usr/lib" / programs.library_folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name, program, *arguments in (
            ("tables", "usr/sbin/nft", "list", "tables"),
            ("sets", "usr/sbin/ipset", "list", "-name"),
        )
    }
    folders = [
        "/run/containerd",
        "/run/netns",
        "/var/lib/cni",
        "/var/lib/kubelet",
        "/opt/containerd",
        "/opt/cni",
        "/etc/cni",
    ]
    return {
        **listed,
        "folders": [folder for folder in folders if Path(folder).exists()],
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "port range": Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(),
        "name": socket.gethostname(),
    }
