"""Have a real prometheus-operator beside a cluster, and what it makes of the objects that it finds there."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import yaml

from deployer.fetch.gomod import go_build
from deployer.report import Silent
from deployer.workspace import load_workspace
from tests.order.objects import Json, Objects, eventually
from tests.ports import free_port
from tests.tools import go_module

MODULE = "github.com/prometheus-operator/prometheus-operator"
VERSION = "v0.85.0"
SOURCES = Path(__file__).parent / "go"
NAMESPACE, NAME = "monitoring", "stampchat"
# Those without which it does not start its controller of Prometheus objects, and those that it is asked about here.
DEFINITIONS = ("podmonitors", "probes", "prometheuses", "prometheusrules", "scrapeconfigs", "servicemonitors")


def definitions() -> Iterator[Json]:
    """Read the operator's own definitions."""
    folder = go_module(f"{MODULE}@{VERSION}") / "example" / "prometheus-operator-crd"
    for kind in DEFINITIONS:
        text = (folder / f"monitoring.coreos.com_{kind}.yaml").read_text(encoding="utf-8")
        yield yaml.load(text, yaml.CSafeLoader)


def _program() -> Path:
    """Build the operator from a module of our own: its own has parts in folders that its zip leaves out."""
    cache = load_workspace().cache
    program = cache / "tools" / f"prometheus-operator@{VERSION}" / "operator"
    if not program.exists():
        package = f"{MODULE}/cmd/operator"
        go_build(SOURCES, package, program, cache=cache, what="prometheus-operator", report=Silent())
    return program


@contextmanager
def operator(kubeconfig: Path, folder: Path) -> Iterator[str]:
    """Run the operator on this machine for a cluster; return where it answers.

    Args:
        kubeconfig: gives full rights on it.
        folder: for files and its log.
    """
    program = _program()
    settings = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    (cluster,), (user,) = settings["clusters"], settings["users"]
    files = {
        "ca": cluster["cluster"]["certificate-authority-data"],
        "cert": user["user"]["client-certificate-data"],
        "key": user["user"]["client-key-data"],
    }
    for name, data in files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(base64.b64decode(data))
    address, log = f"127.0.0.1:{free_port()}", folder / "operator.log"
    command = [str(program), f"--apiserver={cluster['cluster']['server']}", f"--web.listen-address={address}"]
    command += [f"--{name}-file={folder / name}" for name in files]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            try:
                with urlopen(f"http://{address}/healthz", timeout=60) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        eventually(answers, "the operator")
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(60)


def admits(url: str, rule: Json) -> Json:
    """Ask the operator's own admission whether it takes a PrometheusRule; return its answer."""
    resource = {"group": "monitoring.coreos.com", "version": "v1", "resource": "prometheusrules"}
    request = {"uid": "1", "resource": resource, "operation": "CREATE", "object": rule}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    body = json.dumps(review).encode()
    asked = Request(f"{url}/admission-prometheusrules/validate", body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urlopen(asked, timeout=60) as answer:  # noqa: S310  # our own process
            return dict(json.load(answer)["response"])
    except HTTPError as error:
        raise AssertionError(error.read().decode()) from error


def prometheus(labels: dict[str, str], version: str) -> Json:
    """Build a Prometheus object that asks for labels, in any namespace; nobody runs it, so it has no pods.

    Args:
        labels: of the monitors and rules that it takes up.
        version: of the Prometheus that its configuration is for.
    """
    chosen = {"matchLabels": labels}
    spec: dict[str, Any] = {"version": version, "replicas": 0, "evaluationInterval": "1s"}
    spec |= {"podMonitorSelector": chosen, "podMonitorNamespaceSelector": {}}
    spec |= {"ruleSelector": chosen, "ruleNamespaceSelector": {}}
    metadata = {"name": NAME, "namespace": NAMESPACE}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": metadata, "spec": spec}


def written_config(objects: Objects) -> Json:
    """Read the configuration that the operator wrote; nothing before it has."""
    secret = objects.read(f"/api/v1/namespaces/{NAMESPACE}/secrets/prometheus-{NAME}")
    packed = ((secret or {}).get("data") or {}).get("prometheus.yaml.gz")
    return yaml.safe_load(gzip.decompress(base64.b64decode(packed))) if packed else {}


def written_rules(objects: Objects) -> dict[str, str]:
    """Read the files of rules that the operator wrote, by name."""
    found = objects.read(f"/api/v1/namespaces/{NAMESPACE}/configmaps/prometheus-{NAME}-rulefiles-0")
    return dict((found or {}).get("data") or {})
