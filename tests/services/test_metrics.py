from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.metrics import Metrics, hash_sources
from tests.services.chat.phoenix import Phoenix
from tests.services.conftest import MakeDatabase
from tests.services.processes import ROOT, Fleet

SERVICES = ("notifications", "chat", "auth")
DOCUMENTED = re.compile(r"^\| `(stampchat_\w+)` \| (all|[a-z, ]+) \| ([a-z, ]*?) ?\|", re.MULTILINE)
# Words, numbers, patterns of paths, a hash and a version.
LABEL = re.compile(r"[a-z_ ]+|[A-Z]+|\d{3}|\+Inf|[\d.e-]+|/[a-z_/{}.-]*|[0-9a-f]{12}|\d+(\.\d+)+|[A-Z_]+ ?\d*")


@pytest.fixture
async def fleet(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Run the three services."""
    made = Fleet(tmp_path, {name: await make_database() for name in SERVICES})
    try:
        await made.start_all()
        yield made
    finally:
        await made.kill()


def documented() -> dict[str, tuple[set[str], set[str]]]:
    """Return each documented series with its services and its labels."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    return {
        name: (set(SERVICES) if where == "all" else set(where.split(", ")), set(filter(None, labels.split(", "))))
        for name, where, labels in DOCUMENTED.findall(text)
    }


async def live(fleet: Fleet, client: aiohttp.ClientSession) -> list[str]:
    """Let somebody do a little of everything; return what no label may hold."""
    auth, chat, notifications = (fleet.started[name].public for name in ("auth", "chat", "notifications"))
    async with client.post(f"{auth}/login", json={"authProvider": "dev", "token": "Ada"}) as response:
        user = await response.json()
    bearer = {"Authorization": f"Bearer {user['token']}"}
    async with client.post(f"{chat}/channels", json={"channel_name": "Road trip"}, headers=bearer) as response:
        room = (await response.json())["data"]
    async with client.ws_connect(f"{chat}/socket/websocket?vsn=2.0.0&token={user['token']}") as socket:
        phoenix = Phoenix(socket)
        await phoenix.join(f"room:{room['topic']}")
        await phoenix.shout(f"room:{room['topic']}", "hello")
    device = {"token": "device-of-ada"}
    async with client.post(f"{notifications}/register", json=device, headers=bearer) as response:
        assert response.status == 200
    for path in (f"/channels/{room['id']}/events", f"/{room['topic']}", "/channels/987654321/events"):
        async with client.request("GET", chat + path, headers=bearer):
            pass
    async with client.request("SECRET", f"{chat}/test"):
        pass
    return [user["token"], user["identity"], room["topic"], "device-of-ada", "987654321", "SECRET", "hello"]


async def test_each_service_has_the_documented_series_and_no_other(fleet: Fleet, client: aiohttp.ClientSession) -> None:
    """In both directions, labels included; and no label tells of a person."""
    private = await live(fleet, client)
    found: dict[str, tuple[set[str], set[str]]] = {}
    for name in SERVICES:
        async with client.get(f"{fleet.started[name].internal}/readyz") as response:
            assert response.status == 200
        async with client.get(f"{fleet.started[name].internal}/metrics") as response:
            text = await response.text()
        assert not [word for word in private if word in text]
        for family in text_string_to_metric_families(text):
            if family.name.startswith("process_"):
                continue
            series = family.name + ("_total" if family.type == "counter" else "")
            services, labels = found.setdefault(series, (set(), set()))
            services.add(name)
            for sample in family.samples:
                labels.update(sample.labels.keys() - {"le"})
                assert [value for value in sample.labels.values() if not LABEL.fullmatch(value)] == []

    expected = documented()
    assert len(expected) > 20
    assert {name: services for name, (services, _) in found.items()} == {
        name: services for name, (services, _) in expected.items()
    }
    # A series whose labels nothing has set yet shows none.
    assert {name: labels for name, (_, labels) in found.items() if labels} == {
        name: expected[name][1] for name, (_, labels) in found.items() if labels
    }
    assert 'stampchat_migration{kind="applied"}' in text


async def test_the_lag_of_the_loop_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that something holds up is late."""
    monkeypatch.setattr("services.metrics.LAG_SECONDS", 0.001)
    metrics = Metrics("sample")
    watching = asyncio.create_task(metrics.watch_loop())
    async with asyncio.timeout(60):
        while b"stampchat_event_loop_lag_seconds_count 0.0" in metrics.render():  # noqa: ASYNC110  # a metric has no event
            await asyncio.sleep(0.001)
    watching.cancel()


def test_two_versions_differ_in_their_sources(tmp_path: Path) -> None:
    """A file, its name and its content count; what Python caches does not."""
    (tmp_path / "a.py").write_text("1")
    first = hash_sources(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert hash_sources(tmp_path) == first
    (tmp_path / "a.py").write_text("2")
    second = hash_sources(tmp_path)
    (tmp_path / "a.py").rename(tmp_path / "b.py")

    assert len({first, second, hash_sources(tmp_path)}) == 3
