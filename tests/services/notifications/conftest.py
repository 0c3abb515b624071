"""Run the notifications service, with pushes off or beside a stand-in for FCM."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.notifications.app import open_apps
from services.notifications.service_account import ServiceAccount
from services.notifications.settings import NotificationsSettings
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer
from tests.services.conftest import SERVER, MakeMigrated, Running, RunService
from tests.services.notifications import fcm_stand_in
from tests.services.notifications.fcm_stand_in import FcmStandIn

MIGRATIONS = Path("services/notifications/migrations").resolve()
ACCOUNT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ACCOUNT_PEM = ACCOUNT_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
SECONDS = 60


@pytest.fixture
async def fcm() -> AsyncIterator[FcmStandIn]:
    """Run a stand-in for FCM."""
    async with fcm_stand_in.running(ACCOUNT_KEY.public_key()) as stand_in:
        yield stand_in


@pytest.fixture
def account(fcm: FcmStandIn) -> ServiceAccount:
    """Make a service account whose tokens the stand-in gives."""
    return ServiceAccount(fcm_stand_in.PROJECT, fcm_stand_in.EMAIL, Secret(ACCOUNT_PEM), f"{fcm.url}/token")


@pytest.fixture
def account_json(account: ServiceAccount) -> str:
    """Write the account as Firebase's console does."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": account.project_id,
            "client_email": account.client_email,
            "private_key": account.private_key.reveal(),
            "token_uri": account.token_uri,
        }
    )


@pytest.fixture
async def database(make_migrated: MakeMigrated) -> DatabaseSettings:
    """Make one migrated database."""
    return await make_migrated(MIGRATIONS)


@pytest.fixture
def settings(database: DatabaseSettings, credential: Secret, signer: Signer) -> NotificationsSettings:
    """Tell the service where everything is; pushes are off."""
    return NotificationsSettings(
        server=SERVER,
        database=database,
        credential=credential,
        token_keys={signer.kid: signer.public_key},
        push="off",
    )


@pytest.fixture
async def notifications(settings: NotificationsSettings, run_service: RunService) -> Running:
    """Run the service on a migrated database."""
    return await run_service(open_apps(settings))


def bearer(signer: Signer, identity: str) -> dict[str, str]:
    """Return the headers of a caller."""
    now = int(time.time())
    user = {"id": 1, "name": None, "email": None, "picture": None, "identity": identity}
    return {"Authorization": f"Bearer {signer.mint(user, auth_time=now, expires=now + 60)}"}


@pytest.fixture
def push_settings(settings: NotificationsSettings, account: ServiceAccount, fcm: FcmStandIn) -> NotificationsSettings:
    """Tell the service to push through the stand-in."""
    return replace(settings, push="fcm", service_account=account, fcm_url=fcm.url)


@pytest.fixture
async def rows(settings: NotificationsSettings) -> AsyncIterator[Rows]:
    """Look into a migrated database."""
    connection = await asyncpg.connect(settings.database.url.reveal())
    yield Rows(connection)
    await connection.close()


class Rows:
    """Look at what the service stores, and put its clock forward."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self.connection = connection

    async def register(self, **devices: str) -> None:
        """Give people one device each, by its token."""
        for identity, token in devices.items():
            await self.connection.execute("INSERT INTO tokens (identity, fcm_token) VALUES ($1, $2)", identity, token)

    async def registered(self) -> list[tuple[str, str]]:
        """Return who has which device."""
        rows = await self.connection.fetch("SELECT identity, fcm_token FROM tokens ORDER BY id")
        return [(row["identity"], row["fcm_token"]) for row in rows]

    async def states(self) -> dict[str, list[str]]:
        """Return the states of deliveries by device, oldest first."""
        states: dict[str, list[str]] = {}
        for row in await self.connection.fetch("SELECT fcm_token, state FROM deliveries ORDER BY id"):
            states.setdefault(row["fcm_token"], []).append(row["state"])
        return states

    async def waits(self) -> dict[str, float]:
        """Return in how many seconds each waiting device is due."""
        sql = (
            "SELECT fcm_token, extract(epoch FROM due_at - now())::float8 AS wait"
            " FROM deliveries WHERE state = 'waiting' AND reason <> ''"
        )
        return {row["fcm_token"]: row["wait"] for row in await self.connection.fetch(sql)}

    async def make_due(self, *, but_held_for: int | None = None) -> None:
        """Let the time pass that everything waits for.

        Rows that are locked are left out: workers lock them in an order of their own, and would meet us in a deadlock.

        Args:
            but_held_for: leave out what a worker with a lease of so many seconds has in hand, which would be sent
                twice; the lease has to be longer than anything else is waited for.
        """
        await self.connection.execute(
            "UPDATE deliveries SET due_at = now() WHERE id IN (SELECT id FROM deliveries WHERE state = 'waiting'"
            " AND ($1::int IS NULL OR due_at < now() + $1 / 2 * interval '1 second') FOR UPDATE SKIP LOCKED)",
            but_held_for,
        )


async def until(fact: Callable[[], Awaitable[object]]) -> None:
    """Wait for something to become true.

    Args:
        fact: asks.
    """
    async with asyncio.timeout(SECONDS):
        while not await fact():  # noqa: ASYNC110  # a database has no event
            await asyncio.sleep(0.01)
