from __future__ import annotations

import asyncio
import time

import aiohttp
import asyncpg
import pytest

from services.notifications.settings import NotificationsSettings
from services.settings import Secret
from services.tokens import Signer
from tests.services.conftest import Running


async def register(
    client: aiohttp.ClientSession, notifications: Running, signer: Signer, *, identity: str, minted_at: int
) -> int:
    """Register a device with a token of a certain age, and return the status."""
    user = {"id": 1, "name": None, "email": None, "picture": None, "identity": identity}
    token = signer.mint(user, auth_time=minted_at, expires=minted_at + 3600, now=minted_at)
    headers = {"Authorization": f"Bearer {token}"}
    body = {"token": f"phone-of-{identity}"}
    async with client.post(f"{notifications.public}/register", json=body, headers=headers) as response:
        return response.status


async def delete(
    client: aiohttp.ClientSession, notifications: Running, credential: Secret, identity: str, query: str
) -> int:
    """Ask to forget somebody, and return the status."""
    headers = {"Authorization": f"Bearer {credential.reveal()}"}
    async with client.delete(f"{notifications.internal}/internal/users/{identity}{query}", headers=headers) as response:
        if response.status == 200:
            assert await response.json() == {"deleted": True}
        return response.status


async def test_devices_go_and_no_token_from_before_brings_one_back(
    notifications: Running,
    settings: NotificationsSettings,
    credential: Secret,
    signer: Signer,
    client: aiohttp.ClientSession,
) -> None:
    """A token lives for an hour; one that the same person gets afterwards is good, and others are not touched."""
    now = int(time.time())
    for identity in ("ada_1", "bob_2"):
        assert await register(client, notifications, signer, identity=identity, minted_at=now - 60) == 200

    connection = await asyncpg.connect(settings.database.url.reveal())
    await connection.execute(
        "INSERT INTO deliveries (key, identity, fcm_token, payload, state, expires_at)"
        " SELECT state, identity, identity, 'words', state, now()"
        " FROM unnest(ARRAY['ada_1', 'bob_2']) AS identity, unnest(ARRAY['waiting', 'sent', 'dead']) AS state"
    )

    # A call that comes late, or twice, takes nothing back.
    for moment in (now, now - 30):
        assert await delete(client, notifications, credential, "ada_1", f"?minted_before={moment}") == 200

    assert await register(client, notifications, signer, identity="ada_1", minted_at=now - 1) == 401
    assert await register(client, notifications, signer, identity="bob_2", minted_at=now - 1) == 200
    assert await connection.fetchval("SELECT array_agg(DISTINCT identity) FROM deliveries") == ["bob_2"]
    rows = await connection.fetch("SELECT identity FROM tokens")
    assert [row["identity"] for row in rows] == ["bob_2"]
    assert await register(client, notifications, signer, identity="ada_1", minted_at=now) == 200

    # When the last of the old tokens has ended, nothing need be remembered.
    await connection.execute("UPDATE departures SET forget_at = now() - interval '1 second'")
    assert await delete(client, notifications, credential, "cy_3", f"?minted_before={now}") == 200
    assert await connection.fetchval("SELECT array_agg(identity) FROM departures") == ["cy_3"]
    await connection.close()


async def test_a_registration_at_the_same_moment_is_refused_or_undone(
    notifications: Running,
    settings: NotificationsSettings,
    credential: Secret,
    signer: Signer,
    client: aiohttp.ClientSession,
) -> None:
    """However they interleave, no device stays."""
    now = int(time.time())
    results = await asyncio.gather(
        *(register(client, notifications, signer, identity="ada_1", minted_at=now - 60) for _ in range(10)),
        delete(client, notifications, credential, "ada_1", f"?minted_before={now}"),
        *(register(client, notifications, signer, identity="ada_1", minted_at=now - 60) for _ in range(10)),
    )

    assert set(results) <= {200, 401}
    connection = await asyncpg.connect(settings.database.url.reveal())
    assert await connection.fetchval("SELECT count(*) FROM tokens") == 0
    await connection.close()


@pytest.mark.parametrize("query", ["", "?minted_before=", "?minted_before=soon", f"?minted_before={'9' * 40}"])
async def test_a_moment_that_is_none_is_refused(
    notifications: Running, credential: Secret, client: aiohttp.ClientSession, query: str
) -> None:
    """It comes from auth alone, and says at once what is wrong."""
    assert await delete(client, notifications, credential, "ada_1", query) == 422


async def test_it_asks_for_the_credential(notifications: Running, client: aiohttp.ClientSession) -> None:
    """Only auth may ask."""
    assert await delete(client, notifications, Secret("x" * 64), "ada_1", "?minted_before=1") == 401
