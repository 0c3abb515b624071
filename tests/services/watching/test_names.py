"""No rule and no panel names a series, a label or a value of it that no service exports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from infra.observability.alerts import GROUPS
from infra.observability.dashboard import expressions
from tests.promql import Selector, selectors
from tests.services.conftest import MakeDatabase
from tests.services.processes import Fleet

SERVICES = ("notifications", "chat", "auth")
# What Prometheus and the PodMonitors add to each series, and what a Grafana variable stands for.
ADDED = frozenset({"job", "pod", "instance", "namespace", "container"})
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
# Answers that no test should have to provoke; the label itself is checked.
FREE = frozenset({"status", "reason", "outcome", "service"})

Exported = dict[str, dict[str, set[str]]]


@pytest.fixture
async def exported(
    make_database: MakeDatabase, client: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[Exported]:
    """Run the three services and read what they export: values by label, by the name of the series."""
    fleet = Fleet(tmp_path, {name: await make_database() for name in SERVICES})
    try:
        await fleet.start_all()
        async with client.post(f"{fleet.started['auth'].public}/login", json={}) as response:
            assert response.status == 422
        found: Exported = {}
        for name in SERVICES:
            async with client.get(f"{fleet.started[name].internal}/readyz"):
                pass
            async with client.get(f"{fleet.started[name].internal}/metrics") as response:
                text = await response.text()
            for family in text_string_to_metric_families(text):
                for suffix in SUFFIXES[family.type]:
                    found.setdefault(family.name + suffix, {})
                for sample in family.samples:
                    for label, value in sample.labels.items():
                        found.setdefault(sample.name, {}).setdefault(label, set()).add(value)
        yield found
    finally:
        await fleet.kill()


def problem(selector: Selector, exported: Exported) -> str:
    """Say what a selector asks for that nobody exports, or nothing."""
    if selector.name not in exported:
        return f"no service exports {selector.name}"
    known = exported[selector.name]
    for label, value in selector.labels:
        if label in ADDED:
            continue
        # A series whose labels nothing has set yet shows none; docs/operations.md, which a test compares, has them.
        if known and label not in known:
            return f"{selector.name} has no label {label}"
        if known and label not in FREE and value not in known[label]:
            return f"{selector.name} has no {label}={value!r}"
    return ""


async def test_rules_and_panels_name_what_the_services_export(exported: Exported) -> None:
    """The running services are asked, not a list."""
    asked = {alert.name: alert.expr for alerts in GROUPS.values() for alert in alerts}
    asked |= {f"panel {number}": expression for number, expression in enumerate(expressions())}
    assert len(asked) > 40
    assert [name for name, expression in asked.items() if not selectors(expression)] == []

    wrong = {
        name: told
        for name, expression in asked.items()
        for selector in selectors(expression)
        if (told := problem(selector, exported))
    }
    assert wrong == {}

    # Self-test: a misspelt series, label and value are each found.
    for expression, told in (
        ("rate(stampchat_joints_total[5m]) > 1", "no service exports stampchat_joints_total"),
        ('stampchat_migration{sort="needed"}', "stampchat_migration has no label sort"),
        ('stampchat_migration{kind="wanted"}', "stampchat_migration has no kind='wanted'"),
    ):
        assert [problem(selector, exported) for selector in selectors(expression)] == [told]
