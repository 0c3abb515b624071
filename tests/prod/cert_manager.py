"""Have cert-manager in a cluster: its own chart and programs, from its Go module."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from deployer import cluster
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.oci import Entry, ImageSpec, write_archive, write_layer
from deployer.report import Silent
from deployer.versions import machine_arch
from deployer.workspace import Workspace
from tests.order.objects import ApiError, Objects, eventually
from tests.tools import go_module, go_tool, go_tools

# The last release whose commands are part of its module.
VERSION = "v1.11.5"
MODULE = "github.com/cert-manager/cert-manager"
HELM = "helm.sh/helm/v3/cmd/helm@v3.18.6"
NAMESPACE = "cert-manager"
# What it was built against has a say in what a chart renders; any version that it takes will do.
KUBERNETES = "v1.30.0"
# The chart's word for each program.
PROGRAMS = {"image": "controller", "webhook": "webhook", "cainjector": "cainjector", "acmesolver": "acmesolver"}

# Two busy cores answer a probe late; a webhook that is taken for unready refuses every Certificate.
PATIENT = {"failureThreshold": 6, "initialDelaySeconds": 5, "periodSeconds": 5, "successThreshold": 1}
PATIENT |= {"timeoutSeconds": 20}


def install_cert_manager(workspace: Workspace, kubeconfig: Path, *, nameserver: str) -> None:
    """Put cert-manager into an embedded cluster; await_cert_manager waits until it serves.

    Args:
        workspace: the cluster's.
        kubeconfig: gives full rights on it.
        nameserver: "ADDRESS:PORT" of the DNS that cert-manager asks before it has a challenge tried.
    """
    images = _images()
    cluster.load_images(workspace, images, Silent())
    objects = Objects(kubeconfig)
    objects.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    # Definitions come first in what Helm prints, and the webhooks, which have to be served by then, last.
    for manifest in _render(list(images), nameserver):
        objects.apply(manifest)


def await_cert_manager(kubeconfig: Path) -> None:
    """Wait until its webhook takes an issuer, as `cmctl check api` does: until then every object of its is refused."""
    objects = Objects(kubeconfig)
    issuer: dict[str, Any] = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer"}
    issuer |= {"metadata": {"name": "nobody"}, "spec": {"selfSigned": {}}}

    def is_taken() -> bool:
        try:
            objects.apply(issuer, dry_run=True)
        except ApiError:
            return False
        return True

    eventually(is_taken, "cert-manager takes an issuer")


def remove_cert_manager(kubeconfig: Path) -> None:
    """Take cert-manager away again, with every definition; what it still guards with finalizers has to be gone."""
    objects = Objects(kubeconfig)
    objects.remove_namespaces([NAMESPACE])
    for manifest in _render([f"none@sha256:{'0' * 64}"] * len(PROGRAMS), "none"):
        with suppress(ApiError):  # its namespace is gone, or its kind
            objects.delete(manifest)


def _render(references: list[str], nameserver: str) -> Iterator[dict[str, Any]]:
    values: dict[str, Any] = {
        "installCRDs": True,
        "startupapicheck": {"enabled": False},
        # As it is unless somebody says otherwise: a port with metrics, and no monitor.
        "prometheus": {"enabled": True, "servicemonitor": {"enabled": False}},
        "featureGates": "ExperimentalGatewayAPISupport=true",
        "webhook": {"timeoutSeconds": 30, "livenessProbe": PATIENT, "readinessProbe": PATIENT},
        "extraArgs": [f"--acme-http01-solver-nameservers={nameserver}"],
    }
    for (part, _), reference in zip(PROGRAMS.items(), references, strict=True):
        repository, _, digest = reference.partition("@")
        image = {"repository": repository, "digest": digest}
        values |= {"image": image} if part == "image" else {part: {**values.get(part, {}), "image": image}}
    done = subprocess.run(
        [
            go_tool(HELM),
            "template",
            "cert-manager",
            _chart(),
            "--namespace",
            NAMESPACE,
            "--kube-version",
            KUBERNETES,
            "--values",
            "-",
        ],
        input=json.dumps(values),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return (found for found in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if found)


def _chart() -> Path:
    """Complete the chart as its publisher does: a name for its version, and the definitions among the templates."""
    sources = go_module(f"{MODULE}@{VERSION}") / "deploy"
    chart = go_tools(*_commands())[0].parent / "chart"
    with exclusive(chart):
        if not chart.exists():
            with staging(chart) as fresh:
                for file in (sources / "charts" / "cert-manager").rglob("*"):
                    if file.is_file():
                        copy = fresh / file.relative_to(sources / "charts" / "cert-manager")
                        copy.parent.mkdir(parents=True, exist_ok=True)
                        copy.write_bytes(file.read_bytes())
                text = (fresh / "Chart.template.yaml").read_text().replace("v0.1.0", VERSION)
                (fresh / "Chart.yaml").write_text(text)
                for file in (sources / "crds").glob("*.yaml"):
                    (fresh / "templates" / file.name).write_bytes(file.read_bytes())
                replace_folder(fresh, chart)
    return chart


def _commands() -> list[str]:
    return [f"{MODULE}/cmd/{program}@{VERSION}" for program in PROGRAMS.values()]


def _images() -> dict[str, Path]:
    """Write an image of each program, and return the archives by reference."""
    images = {}
    for program in go_tools(*_commands()):
        archive, record = program.with_suffix(".tar"), program.with_suffix(".reference")
        with exclusive(archive):
            if not record.exists():
                with staging(archive) as folder:
                    layer = write_layer(folder / "layer", [Entry(program.name, mode=0o755, source=program)])
                    name = f"stampchat.local/cert-manager-{program.name}"
                    spec = ImageSpec(name=name, layers=(layer,), entrypoint=(f"/{program.name}",))
                    digest = write_archive(spec, archive, arch=machine_arch())
                record.write_text(f"{name}@{digest}")
        images[record.read_text()] = archive
    return images
