"""No rule and no panel names a series, a label or a value of it that no service exports.

What they ask of cert-manager is compared where one runs: tests/prod/test_tls_issuing.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from infra.observability.alerts import GROUPS
from infra.observability.dashboard import expressions
from tests.exported import CERT_MANAGERS, Exported, problem, read_exported
from tests.promql import selectors
from tests.services.conftest import MakeDatabase
from tests.services.processes import Fleet

SERVICES = ("notifications", "chat", "auth")


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
            for name_of_series, labels in read_exported(text).items():
                known = found.setdefault(name_of_series, {})
                for label, values in labels.items():
                    known.setdefault(label, set()).update(values)
        yield found
    finally:
        await fleet.kill()


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
        if not selector.name.startswith(CERT_MANAGERS) and (told := problem(selector, exported))
    }
    assert wrong == {}

    # Self-test: a misspelt series, label and value are each found.
    for expression, told in (
        ("rate(stampchat_joints_total[5m]) > 1", "nobody exports stampchat_joints_total"),
        ('stampchat_migration{sort="needed"}', "stampchat_migration has no label sort"),
        ('stampchat_migration{kind="wanted"}', "stampchat_migration has no kind='wanted'"),
    ):
        assert [problem(selector, exported) for selector in selectors(expression)] == [told]
