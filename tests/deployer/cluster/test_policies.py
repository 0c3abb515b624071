"""Network policies hold in the embedded cluster, once what enforces them is built."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from deployer import cluster
from deployer.cluster.embedded.box import find_init
from deployer.cluster.embedded.programs import Programs, ensure_programs
from deployer.report import Silent
from infra.builders.network import Flow, Peer, default_deny, network_policy
from tests.conftest import EmbeddedCluster
from tests.deployer.cluster.pods import Namespace, eventually, namespace
from tests.order.objects import ApiError, Objects

pytestmark = pytest.mark.cluster

SPACE, PORT = "test-policies", 8000
PAGES = {"app": "pages"}
# Whoever is let in may have to wait for the enforcer to know it; whoever is not is told at once.
UNTIL = f"until /bin/busybox wget -qO- http://pages:{PORT}; do /bin/busybox sleep 1; done"
ONCE = f"exec /bin/busybox wget -qO- http://pages:{PORT}"


@dataclass(frozen=True)
class Trial:
    """Ask a server in a Pod for its page, from other Pods.

    Attributes:
        space: where all of it is.
        objects: the cluster.
    """

    space: Namespace
    objects: Objects
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def asks(self, name: str, command: str) -> bool:
        """Run a Pod that asks, and return whether it was answered."""
        return self.space.succeeds(name, ["/bin/sh", "-c", command])

    def refused(self) -> bool:
        """Return whether a Pod that is named nowhere gets no answer."""
        return not self.asks(f"stranger-{next(self._numbers)}", ONCE)

    def ready(self) -> bool:
        """Return whether the kubelet's own question to the server is answered."""
        found = self.objects.read(f"/api/v1/namespaces/{SPACE}/pods/pages") or {"status": {}}
        conditions = {each["type"]: each["status"] for each in found["status"].get("conditions", [])}
        return conditions.get("Ready") == "True"


@pytest.fixture
def trial(embedded_cluster: EmbeddedCluster) -> Iterator[Trial]:
    """Have policies enforced, and a server that answers; all of it is gone afterwards."""
    enforce(embedded_cluster)
    with namespace(embedded_cluster, SPACE) as space, closing(Objects(embedded_cluster.info.kubeconfig)) as objects:
        image = ensure_programs(embedded_cluster.workspace, Silent()).image.reference
        objects.apply(_server(image))
        space.service("pages", PORT, node_port=embedded_cluster.info.node_port)
        found = Trial(space, objects)
        eventually(found.ready, "a server")
        yield found
        objects.remove_namespaces([SPACE])


def enforce(running: EmbeddedCluster) -> None:
    """Build what enforces policies, unless it is built, and wait until it runs."""
    cluster.build_extras(running.workspace, Silent())
    eventually(lambda: cluster.status(running.workspace).policies_hold, "an enforcer of policies")


def test_what_no_policy_allows_is_refused_and_without_policies_all_is_allowed(
    embedded_cluster: EmbeddedCluster, trial: Trial
) -> None:
    """With policies as the stacks have them: names, probes and this machine's own port are answered all the while."""
    assert trial.asks("before", UNTIL)

    policies = [
        default_deny(SPACE, "kube-system"),
        network_policy("pages", SPACE, PAGES, ingress=[Flow(Peer(match={"app": "friend"}), [PORT])]),
        network_policy("friend", SPACE, {"app": "friend"}, egress=[Flow(Peer(match=PAGES), [PORT])]),
        # It may go there, and is not let in.
        network_policy("shy", SPACE, {"app": "shy"}, egress=[Flow(Peer(match=PAGES), [PORT])]),
    ]
    for policy in policies:
        trial.objects.apply(policy)

    eventually(trial.refused, "a refusal")
    assert trial.asks("friend", UNTIL)
    assert trial.asks("names", "exec /bin/busybox nslookup pages.test-policies.svc.cluster.local")
    assert not trial.asks("shy", ONCE)
    assert _through_this_machines_port(embedded_cluster)
    assert trial.ready()

    for policy in policies:
        trial.objects.delete(policy)

    eventually(lambda: not trial.refused(), "an answer without policies")


def _through_this_machines_port(running: EmbeddedCluster) -> bool:
    """Return whether the server answers what this machine's port is asked; the PROXY line is a bad request to it."""
    with socket.create_connection(("127.0.0.1", running.instance.port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return client.recv(100).startswith(b"HTTP/1.")


def test_its_rules_are_in_the_box_and_not_on_this_machine(embedded_cluster: EmbeddedCluster, trial: Trial) -> None:
    """So they end with the box."""
    trial.objects.apply(network_policy("pages", SPACE, PAGES, ingress=[Flow(Peer(match={"app": "friend"}), [PORT])]))
    programs = ensure_programs(embedded_cluster.workspace, Silent())
    inside = ["nsenter", f"--net=/proc/{find_init(embedded_cluster.instance.name)}/ns/net"]

    eventually(lambda: "KUBE-SRC-" in _list(programs, inside, "ipset", "list", "-name"), "a set in the box")

    assert "KUBE-ROUTER-FORWARD" in _list(programs, inside, "nft", "list", "table", "ip", "filter")
    assert "KUBE-ROUTER-FORWARD" not in _list(programs, [], "nft", "list", "ruleset")
    assert "KUBE-SRC-" not in _list(programs, [], "ipset", "list", "-name")


def test_it_may_change_nothing_in_the_cluster(embedded_cluster: EmbeddedCluster) -> None:
    """Its certificate reads what policies are about, and no Secret."""
    kubeconfig = embedded_cluster.workspace.cluster / "config" / "kube-router.kubeconfig"
    with closing(Objects(kubeconfig)) as its:
        for resource in ("pods", "services"):
            assert its.read(f"/api/v1/{resource}") is not None
        with pytest.raises(ApiError) as reading:
            its.read("/api/v1/secrets")
        with pytest.raises(ApiError) as changing:
            its.delete(_pod("any"))
    assert (reading.value.status, changing.value.status) == (403, 403)


def _list(programs: Programs, where: list[str], name: str, *arguments: str) -> str:
    """Run one of the box's own programs, in this machine's network or in the box's."""
    environ = os.environ | {"LD_LIBRARY_PATH": str(programs.debian / "usr/lib" / programs.library_folder)}
    command = [*where, str(programs.debian / "usr/sbin" / name), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


def _pod(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": SPACE}}


def _server(image: str) -> dict[str, Any]:
    """Build a Pod that serves a page, and is ready while the kubelet gets it."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", f"echo hello > /tmp/index.html && exec /bin/busybox httpd -f -p {PORT} -h /tmp"],
        "readinessProbe": {"httpGet": {"path": "/index.html", "port": PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return _pod("pages") | {"metadata": {"name": "pages", "namespace": SPACE, "labels": PAGES}, "spec": spec}
