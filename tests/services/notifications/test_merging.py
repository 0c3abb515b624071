from __future__ import annotations

import aiohttp
import asyncpg
import pytest

from services.notifications.settings import NotificationsSettings
from services.settings import Secret
from tests.services.conftest import Running


async def merge(
    client: aiohttp.ClientSession, notifications: Running, credential: Secret, body: object
) -> tuple[int, object]:
    """Ask to merge two people."""
    headers = {"Authorization": f"Bearer {credential.reveal()}"}
    async with client.post(f"{notifications.internal}/internal/users/merge", json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_devices_follow_and_each_is_told_once(
    notifications: Running, settings: NotificationsSettings, credential: Secret, client: aiohttp.ClientSession
) -> None:
    """Also one that both had; every row is kept, and asking again changes nothing."""
    connection = await asyncpg.connect(settings.database.url.reveal())
    rows = [("ada_1", "phone"), ("countess_1", "phone"), ("countess_1", "tablet"), ("bob_2", "other")]
    await connection.executemany("INSERT INTO tokens (identity, fcm_token) VALUES ($1, $2)", rows)

    body = {"into": "ada_1", "from": "countess_1"}
    assert [await merge(client, notifications, credential, body) for _ in range(2)] == [(200, {"merged": True})] * 2

    found = await connection.fetch("SELECT identity, fcm_token FROM tokens ORDER BY id")
    assert [tuple(row) for row in found] == [
        ("ada_1", "phone"),
        ("ada_1", "phone"),
        ("ada_1", "tablet"),
        ("bob_2", "other"),
    ]
    await connection.close()


@pytest.mark.parametrize(
    "body", [{}, {"into": "a"}, {"into": "", "from": "b"}, {"into": "a", "from": None}, 7], ids=str
)
async def test_bad_bodies_are_refused(
    notifications: Running, credential: Secret, client: aiohttp.ClientSession, body: object
) -> None:
    """As everywhere."""
    assert (await merge(client, notifications, credential, body))[0] == 422


async def test_it_asks_for_the_credential(notifications: Running, client: aiohttp.ClientSession) -> None:
    """Only auth may ask."""
    assert (await merge(client, notifications, Secret("x" * 64), {"into": "a", "from": "b"}))[0] == 401
