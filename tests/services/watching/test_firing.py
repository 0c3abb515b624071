"""A real Prometheus scrapes the running services with the very rules, a service is broken, and its alert fires."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml

from infra.catalogue import APPLICATIONS
from infra.observability.alerts import PREFIX, rule_groups
from infra.observability.dashboard import ROWS, Panel
from tests.prometheus import run_prometheus
from tests.services.conftest import Databases
from tests.services.processes import Fleet

SECONDS = 120.0
SERVICES = ("notifications", "chat", "auth")
# Of what has not happened yet there is no line, and of a certificate there is none without cert-manager.
EMPTY = {"Answers that are a fault of ours", "What becomes of them", "Days of the certificate"}
JOBS = {application.key: application.name for application in APPLICATIONS}
_DURATION = re.compile(r"\[\d+[smh]\]")


def hasten(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make rules impatient, and change nothing else: each waits a second, and looks back over ten.

    Thus an alert that takes minutes in production takes seconds here; series, limits, labels and words stay.
    """
    return [
        {
            **group,
            "interval": "1s",
            "rules": [{**rule, "for": "1s", "expr": _DURATION.sub("[10s]", rule["expr"])} for rule in group["rules"]],
        }
        for group in groups
    ]


@dataclass(frozen=True)
class Prometheus:
    """Be a Prometheus that runs.

    Attributes:
        url: where it answers.
        client: what asks.
    """

    url: str
    client: aiohttp.ClientSession

    async def get(self, path: str) -> Any:
        async with self.client.get(f"{self.url}/api/v1/{path}") as response:
            return (await response.json())["data"]

    async def draws(self, expression: str) -> bool:
        """Tell whether a panel's query is one, and whether a line comes of it; Grafana's own words stand for a time."""
        asked = expression.replace("$__rate_interval", "10s")
        async with self.client.get(f"{self.url}/api/v1/query", params={"query": asked}) as response:
            answer = await response.json()
        assert answer["status"] == "success", f"{asked}: {answer}"
        return bool(answer["data"]["result"])

    async def firing(self, name: str) -> list[Mapping[str, str]]:
        """Return the labels of each instance of an alert that fires."""
        alerts = (await self.get("alerts"))["alerts"]
        wanted = [alert for alert in alerts if alert["labels"]["alertname"] == f"{PREFIX}{name}"]
        return [alert["labels"] for alert in wanted if alert["state"] == "firing"]

    async def until_scraped(self) -> None:
        """Wait until each service has been scraped with success, and each rule has been evaluated in health."""
        async with asyncio.timeout(SECONDS):
            while True:
                targets = (await self.get("targets"))["activeTargets"]
                groups = (await self.get("rules"))["groups"]
                rules = [rule for group in groups for rule in group["rules"]]
                up = [target for target in targets if target["health"] == "up"]
                if len(up) == len(SERVICES) and rules and all(rule["health"] == "ok" for rule in rules):
                    return
                await asyncio.sleep(0.2)

    async def until_firing(self, name: str) -> Mapping[str, str]:
        """Wait until an alert fires; return its labels."""
        async with asyncio.timeout(SECONDS):
            while not (firing := await self.firing(name)):  # noqa: ASYNC110  # another process's alert has no event
                await asyncio.sleep(0.2)
        return firing[0]

    async def until_silent(self, name: str) -> None:
        """Wait until an alert does not fire: before the first scrape each service is absent."""
        async with asyncio.timeout(SECONDS):
            while await self.firing(name):  # noqa: ASYNC110  # the same
                await asyncio.sleep(0.2)


@contextmanager
def prometheus_process(folder: Path, fleet: Fleet) -> Iterator[str]:
    """Run Prometheus against a fleet; return where it answers."""
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": hasten(rule_groups("docs/alerts"))}))
    jobs = [
        {"job_name": JOBS[name], "static_configs": [{"targets": [urlsplit(fleet.started[name].internal).netloc]}]}
        for name in SERVICES
    ]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with run_prometheus(folder, folder / "prometheus.yaml") as url:
        yield url


@pytest.fixture
async def fleet(databases: Databases, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Run the three services."""
    made = Fleet(tmp_path, {name: await databases.make() for name in SERVICES})
    try:
        await made.start_all()
        yield made
    finally:
        await made.kill()


@pytest.fixture
async def prometheus(fleet: Fleet, client: aiohttp.ClientSession, tmp_path: Path) -> AsyncIterator[Prometheus]:
    """Have them watched."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with prometheus_process(folder, fleet) as url:
        found = Prometheus(url, client)
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    await found.until_scraped()
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.2)
        yield found


async def test_what_breaks_is_alerted_and_what_does_not_is_not(
    fleet: Fleet, prometheus: Prometheus, databases: Databases, client: aiohttp.ClientSession
) -> None:
    """At rest each panel draws what there is; the database of auth is taken away, then chat is killed."""
    await prometheus.until_silent("ServiceDown")
    async with client.post(f"{fleet.started['auth'].public}/login", json={}) as response:
        assert response.status == 422
    await until_drawn(prometheus)
    assert await prometheus.firing("Errors") == []

    name = fleet.databases["auth"].url.reveal().partition("?")[0].rpartition("/")[2]
    await databases.admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    databases.made.remove(name)
    logins = asyncio.create_task(_log_in_for_ever(client, fleet.started["auth"].public))
    errors = await prometheus.until_firing("Errors")
    logins.cancel()
    assert (errors["job"], errors["severity"]) == ("stamp-chat-auth", "critical")
    assert await prometheus.firing("ServiceDown") == []

    fleet.started["chat"].running.kill()
    down = await prometheus.until_firing("ServiceDown")
    assert (down["service"], down["severity"]) == ("chat", "critical")


async def until_drawn(prometheus: Prometheus) -> None:
    """Wait until each panel that should shows a line: a rate has one after the second scrape."""
    empty: set[str] = set()
    try:
        async with asyncio.timeout(SECONDS):
            while empty != EMPTY:
                panels = [panel for row in ROWS.values() for panel in row]
                empty = {panel.title for panel in panels if not await drawn(prometheus, panel)}
                await asyncio.sleep(0.2)
    except TimeoutError:
        assert empty == EMPTY


async def drawn(prometheus: Prometheus, panel: Panel) -> bool:
    """Tell whether a panel shows any line."""
    return any([await prometheus.draws(expression) for expression, _ in panel.queries])


async def _log_in_for_ever(client: aiohttp.ClientSession, url: str) -> None:
    while True:
        async with client.post(f"{url}/login", json={"authProvider": "dev", "token": "Ada"}) as response:
            assert response.status == 503
        await asyncio.sleep(0.1)
