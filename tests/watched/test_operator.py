"""A real prometheus-operator takes the stack's objects, and what it writes has a real Prometheus find its pods."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from infra.catalogue import APPLICATIONS, NAMESPACE, TLS_SECRET
from infra.observability.alerts import PREFIX, rule_groups
from infra.observability.certificate import ENDS, READY, RENEWAL
from infra.observability.objects import CERT_MANAGER, CERT_MANAGER_NAMESPACE
from services.metrics import Metrics
from tests.conftest import EmbeddedCluster
from tests.infra.configs import IMAGES, OPTIONS, PROD_GATEWAY_API
from tests.order.objects import ApiError, Json, Objects, eventually
from tests.order.stack import objects_of
from tests.prometheus import prometheus_programs, run_prometheus
from tests.watched import operator as watching
from tests.watched.discovery import discover
from tests.watched.pods import pod, pod_of, serving, start

ASKED = "STAMPCHAT_TEST_OPERATOR"
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        ASKED not in os.environ,
        reason=f"NOT TESTED: a real prometheus-operator; its build takes three minutes of processor, {ASKED}=1 has it",
    ),
]

WATCHED = {"stampchat:observability": OPTIONS["stampchat:observability"]}
LABELS = json.loads(WATCHED["stampchat:observability"])["labels"]
SPACES = (NAMESPACE, CERT_MANAGER_NAMESPACE, watching.NAMESPACE, "elsewhere")
MONITORS = {*(application.name for application in APPLICATIONS), CERT_MANAGER}
# Loopback addresses stand for those of pods, at the ports that pods really have.
ADDRESSES = {application.name: f"127.77.0.{number}" for number, application in enumerate(APPLICATIONS, 1)}
ADDRESSES["cert-manager"] = "127.77.0.9"
DAY = 86400


@dataclass(frozen=True)
class Watched:
    """Be a stack's objects in a cluster that an operator watches.

    Attributes:
        url: where the operator answers.
        objects: the cluster.
        manifests: the stack's monitors and rules.
        config: what the operator wrote.
        rules: its files of rules.
    """

    url: str
    objects: Objects
    manifests: list[Json]
    config: Json
    rules: Mapping[str, str]


@pytest.fixture(scope="module")
def watched(embedded_cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Have the operator take up what stack prod gives it, from among what it should leave."""
    folder, kubeconfig = tmp_path_factory.mktemp("operator"), embedded_cluster.info.kubeconfig
    manifests = objects_of("prod", {**PROD_GATEWAY_API, **WATCHED}, IMAGES, folder)
    ours = [item for item in manifests if item["kind"] in {"PodMonitor", "PrometheusRule"}]
    unlabelled = {**ours[0], "metadata": {"name": "unlabelled", "namespace": NAMESPACE}}
    version = _version()
    with closing(Objects(kubeconfig)) as objects, ExitStack() as stack:
        objects.remove_namespaces(SPACES)
        made = [item for item in watching.definitions() if objects.get(item) is None]
        spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in SPACES]
        for item in (*made, *spaces):
            objects.apply(item)
        for item in made:
            stack.callback(objects.delete, item)
        stack.callback(objects.remove_namespaces, SPACES)
        eventually(lambda: all(objects.read(_accounts(name)) for name in SPACES), "the namespaces' service accounts")
        _start_pods(objects, [item for item in manifests if item["kind"] == "Deployment"])
        url = stack.enter_context(watching.operator(kubeconfig, folder))
        asked = watching.prometheus(LABELS, version)
        for item in (*ours, unlabelled, asked):
            eventually(lambda item=item: _is_taken(objects, item), "every kind is served")  # type: ignore[misc]
        eventually(lambda: len(watching.written_config(objects).get("scrape_configs", [])) >= len(MONITORS), "a config")
        eventually(lambda: watching.written_rules(objects), "files of rules")
        config, rules = watching.written_config(objects), watching.written_rules(objects)
        yield Watched(url, objects, ours, config, rules)


def _version() -> str:
    """Ask the Prometheus that there is which version it is, so that the configuration is one for it."""
    command = [str(prometheus_programs() / "prometheus"), "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"version (\d+\.\d+\.\d+)", done.stdout + done.stderr)
    assert found is not None
    return f"v{found[1]}"


def _accounts(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/default"


def _is_taken(objects: Objects, item: Json) -> bool:
    try:
        objects.apply(item)
    except ApiError as error:
        # Its definition is there and not served yet.
        if error.status != 404:
            raise
        return False
    return True


def _start_pods(objects: Objects, deployments: list[Json]) -> None:
    """Make a pod of each service and of cert-manager, and such as nobody should ask."""
    wanted = [item for item in deployments if item["metadata"]["name"] in ADDRESSES]
    for item in wanted:
        start(objects, pod_of(item, NAMESPACE), ADDRESSES[item["metadata"]["name"]])
    start(objects, pod_of(wanted[0], "elsewhere"), "127.77.0.5")
    labels = {"app.kubernetes.io/name": "cert-manager", "app.kubernetes.io/component": "controller"}
    ports = {"http-metrics": 9402, "http-healthz": 9403}
    start(objects, pod("cert-manager-1", CERT_MANAGER_NAMESPACE, labels, ports), ADDRESSES["cert-manager"])
    webhook = {**labels, "app.kubernetes.io/name": "webhook", "app.kubernetes.io/component": "webhook"}
    start(objects, pod("webhook-1", CERT_MANAGER_NAMESPACE, webhook, ports), "127.77.0.6")
    start(objects, pod("database-1", NAMESPACE, {"app.kubernetes.io/name": "db"}, {"internal": 9000}), "127.77.0.7")


def test_the_operator_admits_the_rules(watched: Watched) -> None:
    """By its own admission, which parses each expression; a wrong one it refuses."""
    (rule,) = [item for item in watched.manifests if item["kind"] == "PrometheusRule"]
    broken = json.loads(json.dumps(rule))
    broken["spec"]["groups"][0]["rules"][0]["expr"] = "sum(("

    assert watching.admits(watched.url, rule)["allowed"]
    assert not watching.admits(watched.url, broken)["allowed"]


def test_the_operator_writes_the_rules_that_are_tested(watched: Watched) -> None:
    """All of them, as they are; they are the stack's own."""
    (text,) = watched.rules.values()

    assert yaml.safe_load(text)["groups"] == rule_groups("docs/alerts")


def test_the_operator_takes_up_the_monitors_that_wear_its_label_and_no_other(watched: Watched) -> None:
    """One job for each; a monitor without the label that the Prometheus object asks for is left alone."""
    jobs = {job["job_name"] for job in watched.config["scrape_configs"]}

    assert jobs == {f"podMonitor/{NAMESPACE}/{name}/0" for name in MONITORS}


def test_prometheus_finds_the_pods_and_labels_them_as_the_rules_expect(watched: Watched, tmp_path: Path) -> None:
    """Each service's pod once, cert-manager's controller, and none of those that only look like them."""
    config = adapt(watched, tmp_path)
    checked = subprocess.run(
        [prometheus_programs() / "promtool", "check", "config", config], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    texts = {(ADDRESSES[each.name], each.internal_port): Metrics(each.key).render().decode() for each in APPLICATIONS}
    texts[ADDRESSES["cert-manager"], 9402] = cert_manager()
    with serving(texts), run_prometheus(tmp_path, config) as url:
        eventually(lambda: _is_ready(url), "Prometheus")
        eventually(lambda: len(query(url, "up == 1")) >= len(texts), "every pod is scraped", patience=60)
        found = {(each["job"], each["namespace"], each["pod"]) for each in query(url, "up")}
        expected = {(each.name, NAMESPACE, f"{each.name}-1") for each in APPLICATIONS}
        assert found == expected | {("cert-manager", CERT_MANAGER_NAMESPACE, "cert-manager-1")}
        # The service's own label stays its own, and the alerts find it.
        services = {(each["job"], each["service"]) for each in query(url, "stampchat_build_info")}
        assert services == {(each.name, each.key) for each in APPLICATIONS}
        kept = {(each["__name__"], each["name"]) for each in query(url, '{job="cert-manager",name!=""}')}
        assert kept == {(name, TLS_SECRET) for name in (ENDS, RENEWAL, READY)}
        assert query(url, "certmanager_clock_time_seconds") == []
        eventually(lambda: {"CertificateExpires", "CertificateNotRenewed"} <= waiting(url), "the certificate's alerts")
        eventually(lambda: "ServiceDown" not in waiting(url), "no service is missed")
        assert not {"CertificateNotReady", "CertificateUnwatched"} & waiting(url)


def adapt(watched: Watched, folder: Path) -> Path:
    """Have what was written run outside of the cluster, and soon; what it selects and how it labels stays as it is."""
    jobs = []
    for job in watched.config["scrape_configs"]:
        left = {key: value for key, value in job.items() if key != "kubernetes_sd_configs"}
        hasty = {"scrape_interval": "1s", "scrape_timeout": "1s", "static_configs": discover(watched.objects, job)}
        jobs.append(left | hasty)
    for name, text in watched.rules.items():
        (folder / name).write_text(text)
    rules = [str(folder / name) for name in watched.rules]
    path = folder / "prometheus.yaml"
    text = yaml.safe_dump(watched.config | {"scrape_configs": jobs, "rule_files": rules})
    # What the operator's config-reloader, a container beside Prometheus, puts in when it starts.
    path.write_text(text.replace("$(SHARD)", "0").replace("$(POD_NAME)", f"prometheus-{watching.NAME}-0"))
    return path


def cert_manager() -> str:
    """Tell what cert-manager does of a certificate that should have been renewed, and of somebody else's."""
    ends = time.time() + 2 * DAY
    lines = ["certmanager_clock_time_seconds 1"]
    for name in (TLS_SECRET, "somebody-elses"):
        labels = f'name="{name}",namespace="stampchat-gateway",issuer_name="stampchat"'
        lines += [f"{ENDS}{{{labels}}} {ends}", f"{RENEWAL}{{{labels}}} {ends - 30 * DAY}"]
        lines += [f'{READY}{{{labels},condition="{word}"}} {int(word == "True")}' for word in ("True", "False")]
    return "\n".join((*lines, ""))


def query(url: str, expression: str) -> list[dict[str, str]]:
    """Ask Prometheus; return the labels of each series."""
    return [each["metric"] for each in _ask(url, f"query?query={quote(expression)}")["result"]]


def waiting(url: str) -> set[str]:
    """Return the alerts that fire, or will if nothing changes."""
    return {alert["labels"]["alertname"].removeprefix(PREFIX) for alert in _ask(url, "alerts")["alerts"]}


def _is_ready(url: str) -> bool:
    with suppress(OSError), urlopen(f"{url}/-/ready", timeout=60) as answer:  # noqa: S310  # our own process
        return bool(answer.status == HTTPStatus.OK)
    return False


def _ask(url: str, path: str) -> Any:
    with urlopen(f"{url}/api/v1/{path}", timeout=60) as answer:  # noqa: S310  # our own process
        return json.load(answer)["data"]
