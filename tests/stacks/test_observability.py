"""What a prometheus-operator and a Grafana are given: the services' own ports, the rules and the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.catalogue import APPLICATIONS
from infra.observability.alerts import CERTIFICATE_GROUP, rule_groups
from infra.observability.certificate import CERTIFICATE_ALERTS
from infra.observability.dashboard import ROWS, build_dashboard
from infra.observability.objects import CERT_MANAGER, CERT_MANAGER_NAMESPACE
from stacks.program import deploy
from stacks.render import render
from tests.infra.configs import DEV, OPTIONS, PROD
from tests.infra.recording import Recording, record

KINDS = ("PodMonitor", "PrometheusRule")
ASKED = json.loads(OPTIONS["stampchat:observability"])
NAMES = [application.name for application in APPLICATIONS]


def test_each_service_is_scraped_where_its_metrics_are(full: Recording) -> None:
    """The monitor selects the pods, names a port that they have, and wears what Prometheus asks for."""
    monitors = {r.name: r.inputs for r in full.objects("PodMonitor") if r.name != CERT_MANAGER}

    assert sorted(monitors) == sorted(NAMES)
    for name, monitor in monitors.items():
        template = full.object("Deployment", name)["spec"]["template"]
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        ports = {port["name"] for container in template["spec"]["containers"] for port in container["ports"]}
        assert endpoint["port"] in ports
        assert endpoint["path"] == "/metrics"
        assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        # By its value the rules know a service.
        assert template["metadata"]["labels"][monitor["spec"]["jobLabel"]] == name
        assert monitor["metadata"]["labels"].items() >= ASKED["labels"].items()
        assert monitor["metadata"]["namespace"] == "stampchat"


def test_cert_manager_is_asked_about_our_certificate_and_no_other(full: Recording) -> None:
    """By the name that the Certificate has; tests/prod has cert-manager's own pods and figures beside it."""
    monitor = full.object("PodMonitor", CERT_MANAGER)
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (kept,) = endpoint["metricRelabelings"]
    (certificate,) = full.objects("Certificate")

    assert monitor["metadata"]["labels"].items() >= ASKED["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [CERT_MANAGER_NAMESPACE]}
    assert (kept["action"], kept["sourceLabels"]) == ("keep", ["__name__", "name"])
    series = {name for alert in CERTIFICATE_ALERTS for name in re.findall(r"certmanager_\w+", alert.expr)}
    assert len(series) == 3
    for name in series:
        assert re.fullmatch(kept["regex"], f"{name};{certificate.inputs['metadata']['name']}")
        assert not re.fullmatch(kept["regex"], f"{name};somebody-elses")


def test_the_rules_are_those_that_are_tested(full: Recording) -> None:
    rule = full.object("PrometheusRule", "stampchat")

    assert rule["spec"]["groups"] == rule_groups("docs/alerts")
    assert rule["metadata"]["labels"].items() >= ASKED["labels"].items()


def test_runbooks_may_have_an_address(checkout: Path) -> None:
    """Of the person's own fork."""
    asked = {"kind": "prometheus-operator", "runbooks": "https://git.stampchat.app/docs/alerts/"}
    recorded = record(lambda: deploy(checkout), {**PROD, "stampchat:observability": json.dumps(asked)}, stack="prod")
    rules = [
        rule for group in recorded.object("PrometheusRule", "stampchat")["spec"]["groups"] for rule in group["rules"]
    ]

    assert rules[0]["annotations"]["runbook_url"] == "https://git.stampchat.app/docs/alerts/ServiceDown.md"


def test_grafana_finds_the_dashboard(full: Recording) -> None:
    """By its label; it is JSON, the same every time, each panel with a place, a unit and a source."""
    found = full.object("ConfigMap", "stampchat-dashboard")
    dashboard = json.loads(found["data"]["stampchat.json"])
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]

    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert build_dashboard() == build_dashboard() == found["data"]["stampchat.json"]
    assert [row["title"] for row in dashboard["panels"] if row["type"] == "row"] == list(ROWS)
    assert [panel["title"] for panel in panels] == [panel.title for row in ROWS.values() for panel in row]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [cell for panel in dashboard["panels"] for cell in cells(**panel["gridPos"])]
    assert len(set(taken)) == len(taken)
    # Grafana's grid is so wide.
    assert max(x for x, _ in taken) < 24
    assert [panel["title"] for panel in panels if not panel["fieldConfig"]["defaults"].get("unit")] == []
    sources = {target["datasource"]["uid"] for panel in panels for target in panel["targets"]}
    (variable,) = dashboard["templating"]["list"]
    assert sources == {f"${{{variable['name']}}}"}
    # A ConfigMap takes no more than a mebibyte.
    assert len(found["data"]["stampchat.json"]) < 2**18


def cells(x: int, y: int, w: int, h: int) -> Iterator[tuple[int, int]]:
    """Yield what a panel covers of the grid."""
    yield from ((column, line) for column in range(x, x + w) for line in range(y, y + h))


def test_prometheus_alone_may_ask_and_only_where_metrics_are(full: Recording, prod: Recording, dev: Recording) -> None:
    """From the namespace that is named; in dev nobody, unless it is wanted."""
    for application in APPLICATIONS:
        rules = [_rule("watching", application.internal_port), _rule("monitoring", application.internal_port)]
        for recording, expected in ((full, [True, False]), (prod, [False, True]), (dev, [False, False])):
            ingress = recording.object("NetworkPolicy", application.name)["spec"]["ingress"]
            assert [rule in ingress for rule in rules] == expected, application.name


def _rule(namespace: str, port: int) -> dict[str, Any]:
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return {"from": [peer], "ports": [{"protocol": "TCP", "port": port}]}


@pytest.mark.parametrize("which", ["dev", "prod", "prod_gateway_api"])
def test_nothing_of_it_is_there_unless_it_is_wanted(which: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(which)

    assert [r.name for r in recording.objects(*KINDS)] == []
    assert "stampchat-dashboard" not in {r.name for r in recording.objects("ConfigMap")}


def test_a_rendered_stack_has_it_after_the_services(checkout: Path) -> None:
    """In dev, too, which has no certificate to watch."""
    config = {**DEV, "stampchat:observability": '{"kind": "prometheus-operator"}'}
    rendered = render("dev", config, checkout)
    order = [item["component"] for item in rendered]
    kinds = [item["manifest"]["kind"] for item in rendered if item["component"] == "observability"]

    assert sorted(kinds) == ["ConfigMap", "PodMonitor", "PodMonitor", "PodMonitor", "PrometheusRule"]
    assert order.index("observability") > max(order.index(name) for name in NAMES)
    (rules,) = [item["manifest"] for item in rendered if item["manifest"]["kind"] == "PrometheusRule"]
    assert rules["spec"]["groups"] == rule_groups("docs/alerts", certificate=False)
    assert CERTIFICATE_GROUP not in {group["name"] for group in rules["spec"]["groups"]}
