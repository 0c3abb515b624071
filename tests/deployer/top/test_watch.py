"""A real cluster is watched through its API: pods that tell, are silent or talk nonsense, behind closed policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from deployer import kube
from deployer.cluster.embedded.programs import ensure_programs
from deployer.report import Silent
from deployer.top import Row, Watch, as_plain
from deployer.top import watch as watch_module
from services.chat.metrics import ChatMetrics
from services.metrics import Metrics
from tests.conftest import EmbeddedCluster
from tests.order.objects import Objects, eventually

pytestmark = pytest.mark.cluster

SPACE = "test-top"
PORT = 4010
READY = '{"status": "ready", "checks": {"database": "ok", "migrations": "ok"}, "degraded": []}'
# The names by which the stack's own pods are known.
WORKLOAD = "stamp-chat-channels"


def metrics() -> str:
    """Return what chat exports, of 7 sockets."""
    registry = Metrics("chat")
    ChatMetrics(registry.registry).sockets.set(7)
    return registry.render().decode()


def serving(metrics_text: str, readiness: str) -> list[str]:
    """Return the command of a pod that answers with these texts."""
    files = "cat > /www/metrics <<'END'\n{}END\ncat > /www/readyz <<'END'\n{}\nEND\n"
    return ["/bin/busybox", "sh", "-c", f"{files.format(metrics_text, readiness)}exec httpd -f -p {PORT} -h /www"]


def shell(script: str) -> list[str]:
    return ["/bin/busybox", "sh", "-c", script]


PODS = {
    "tells": serving(metrics(), READY),
    "nonsense": serving("<html>Welcome</html>\n", READY),
    "half": serving(metrics(), "all is well"),
    # It takes a connection and says nothing.
    "silent": shell(f"while :; do nc -l -p {PORT} -e sleep 3600; done"),
    "deaf": shell("sleep 3600"),
    "breaks": shell("exit 1"),
}


@pytest.fixture(scope="module")
def watch(embedded_cluster: EmbeddedCluster) -> Iterator[Watch]:
    """Watch a namespace of pods into which no policy lets anybody."""
    image = ensure_programs(embedded_cluster.workspace, Silent()).image.reference
    with closing(Objects(embedded_cluster.info.kubeconfig)) as objects, pytest.MonkeyPatch.context() as patch:
        objects.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        policy = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        objects.apply(_object("networking.k8s.io/v1", "NetworkPolicy", "closed", spec=policy))
        account = f"/api/v1/namespaces/{SPACE}/serviceaccounts/default"
        eventually(lambda: objects.read(account), "the namespace's service account")
        for name, command in PODS.items():
            objects.apply(_object("v1", "Pod", name, spec=_pod(image, command)))
        eventually(lambda: _started(objects), "the pods")
        patch.setattr(kube, "NAMESPACES", (SPACE,))
        patch.setattr(watch_module, "load_settings", lambda *_: {"config": {"stampchat:place": "dev"}})
        yield Watch(embedded_cluster.workspace, "dev")
        objects.remove_namespaces([SPACE])


def _object(version: str, kind: str, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": SPACE}, **rest}


def _pod(image: str, command: list[str]) -> dict[str, Any]:
    container = {
        "name": "chat",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "ports": [{"name": "internal", "containerPort": PORT}],
        "volumeMounts": [{"name": "www", "mountPath": "/www"}],
    }
    volumes = [{"name": "www", "emptyDir": {}}]
    return {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}


def _started(objects: Objects) -> bool:
    pods = (objects.read(f"/api/v1/namespaces/{SPACE}/pods") or {})["items"]
    running = {pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"}
    restarted = any(each["restartCount"] for pod in pods for each in pod["status"].get("containerStatuses", []))
    return running >= PODS.keys() - {"breaks"} and restarted


def test_each_pod_is_told_by_what_it_answers_and_none_keeps_the_others(watch: Watch) -> None:
    """Through policies that let nobody in."""

    def look() -> dict[str, Row]:
        return {row.pod: row for row in watch.look().rows}

    eventually(lambda: look()["tells"].condition == "ok", "an answer")
    found = look()

    assert found["tells"].figures["sockets"] == 7
    assert found["tells"].figures["joins_per_second"] == 0
    assert found["tells"].problems == ()
    said = {name: "; ".join(row.problems) for name, row in found.items()}
    assert said["nonsense"].startswith("its metrics are no text that Prometheus could read")
    assert said["half"].startswith("its /readyz answers with something else")
    assert found["half"].figures["sockets"] == 7
    assert said["silent"] == "its metrics did not come within 3 s"
    assert said["deaf"] == "nothing listens at its internal port"
    assert found["breaks"].condition == "failing"


def test_the_failing_stand_first_and_machines_can_read_it(watch: Watch) -> None:
    picture = watch.look()

    assert picture.rows[0].pod == "breaks"
    assert picture.rows[-1].pod == "tells"
    assert picture.certificate is None
    assert as_plain(picture)["totals"]["sockets"] == 14
