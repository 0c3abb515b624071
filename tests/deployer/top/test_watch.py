"""A real cluster is watched through its API: pods that tell, are silent or talk nonsense, behind closed policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import AuthenticationV1TokenRequest, CoreV1Api, V1TokenRequestSpec
from kubernetes.config import new_client_from_config

from deployer import cluster, kube
from deployer.cluster.embedded.programs import ensure_programs
from deployer.report import Silent
from deployer.top import Row, Watch, as_plain
from deployer.top import watch as watch_module
from deployer.workspace import Workspace
from services.chat.metrics import ChatMetrics
from services.metrics import Metrics
from tests.conftest import EmbeddedCluster
from tests.order.objects import Objects, eventually

pytestmark = pytest.mark.cluster

SPACE = "test-top"
PORT = 4010
READY = '{"status": "ready", "checks": {"database": "ok", "migrations": "ok"}, "degraded": []}'


def metrics() -> str:
    """Return what chat exports, of 7 sockets."""
    registry = Metrics("chat")
    ChatMetrics(registry.registry).sockets.set(7)
    return registry.render().decode()


# As a service does, it leaves it to whoever asked to hang up.
ANSWER = r"""
read -r method path version
while read -r line && [ ${#line} -gt 1 ]; do :; done
printf 'HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n' "$(wc -c < "/www$path")"
cat "/www$path"
sleep 10
"""


def serving(metrics_text: str, readiness: str) -> list[str]:
    """Return the command of a pod that answers with these texts."""
    files = {"metrics": metrics_text, "readyz": f"{readiness}\n", "answer": ANSWER}
    written = "".join(f"cat > /www/{name} <<'END'\n{text}END\n" for name, text in files.items())
    return shell(f"{written}exec nc -ll -p {PORT} -e /bin/busybox sh /www/answer")


def shell(script: str) -> list[str]:
    return ["/bin/busybox", "sh", "-c", script]


PODS = {
    "tells": serving(metrics(), READY),
    "nonsense": serving("<html>Welcome</html>\n", READY),
    "half": serving(metrics(), "all is well"),
    # It takes a connection and says nothing: who opens a pipe waits for somebody to write into it.
    "silent": shell(f"mkfifo /www/metrics; exec httpd -f -p {PORT} -h /www"),
    "deaf": shell("sleep 3600"),
    "breaks": shell("exit 1"),
}


@pytest.fixture(scope="module")
def watch(embedded_cluster: EmbeddedCluster) -> Iterator[Watch]:
    """Watch a namespace of pods into which no policy lets anybody."""
    cluster.build_extras(embedded_cluster.workspace, Silent())
    eventually(lambda: cluster.status(embedded_cluster.workspace).policies_hold, "an enforcer of policies")
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


# How each pod's problems begin.
SAID = {
    "tells": "",
    "nonsense": "its metrics are no text that Prometheus could read",
    "half": "its /readyz answers with something else than its checks",
    "silent": "its metrics did not come within 3 s",
    "deaf": "its metrics cannot be reached: nothing listens at its internal port",
}


def test_each_pod_is_told_by_what_it_answers_and_none_keeps_the_others(watch: Watch) -> None:
    """Through policies that let nobody in; a busy machine may need some looks for it."""

    def told() -> bool:
        found.update({row.pod: row for row in watch.look().rows})
        said = {name: "; ".join(found[name].problems) for name in SAID}
        return said == SAID and found["tells"].figures["joins_per_second"] == 0

    found: dict[str, Row] = {}
    eventually(told, "what each pod has to say")

    assert found["tells"].condition == "ok"
    assert found["tells"].service == "chat"
    assert found["tells"].figures["sockets"] == 7
    assert found["half"].figures["sockets"] == 7
    assert found["nonsense"].condition == "warning"
    assert found["breaks"].condition == "failing"


def test_who_may_only_list_pods_is_told_what_lacks(
    watch: Watch, embedded_cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    """The pods are still there to see."""
    limited = Watch(_limited_user(embedded_cluster, tmp_path), "dev")

    rows = {row.pod: row for row in limited.look().rows}
    assert rows.keys() == {row.pod for row in watch.look().rows}
    said = "this user of the cluster may not forward ports (create and get of pods/portforward)"
    assert rows["tells"].problems == (said,)
    assert rows["tells"].condition == "warning"


def _limited_user(running: EmbeddedCluster, folder: Path) -> Workspace:
    """Give somebody the right to list pods and no other; return a checkout that knows them."""
    kubeconfig = yaml.safe_load(running.info.kubeconfig.read_text(encoding="utf-8"))
    with closing(Objects(running.info.kubeconfig)) as objects:
        objects.apply(_object("v1", "ServiceAccount", "looker"))
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}
        objects.apply(_object("rbac.authorization.k8s.io/v1", "Role", "looker", rules=[rule]))
        subject = {"kind": "ServiceAccount", "name": "looker", "namespace": SPACE}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "looker"}
        binding = _object("rbac.authorization.k8s.io/v1", "RoleBinding", "looker", subjects=[subject], roleRef=role)
        objects.apply(binding)
    with new_client_from_config(str(running.info.kubeconfig)) as api:
        request = AuthenticationV1TokenRequest(spec=V1TokenRequestSpec(audiences=[]))
        token = CoreV1Api(api).create_namespaced_service_account_token("looker", SPACE, request).status.token
    kubeconfig["users"] = [{"name": entry["name"], "user": {"token": token}} for entry in kubeconfig["users"]]
    workspace = replace(running.workspace, home=folder)
    (workspace.cluster / "kubeconfig").parent.mkdir(parents=True)
    (workspace.cluster / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    return workspace


def test_the_failing_stand_first_and_machines_can_read_it(watch: Watch) -> None:
    """The two pods that tell are added up."""
    eventually(lambda: watch.look().totals["sockets"] == 14, "both pods' sockets")
    picture = watch.look()

    assert picture.rows[0].pod == "breaks"
    assert picture.missing == ("auth", "notifications")
    assert picture.certificate is None
    assert json.loads(json.dumps(as_plain(picture), allow_nan=False))["condition"] == "failing"
