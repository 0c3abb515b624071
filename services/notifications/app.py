"""Open the notifications service: its resources, then its two applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from services.database import Database, open_database
from services.health import Health, watch_database
from services.merging import add_merging_route
from services.metrics import Metrics
from services.notifications.dead_letters import DEAD_LETTERS, DeadLetters, add_dead_letter_routes
from services.notifications.deletion import DELETER, Deleter, add_deletion_route
from services.notifications.fcm import FcmSender
from services.notifications.keys import PUSHER, STORE
from services.notifications.merging import Merger
from services.notifications.metrics import PushMetrics
from services.notifications.openapi import DESCRIPTION
from services.notifications.outbox import Outbox
from services.notifications.pusher import Pusher
from services.notifications.routes import add_internal_routes, add_public_routes
from services.notifications.service_account import AccessTokens
from services.notifications.settings import NotificationsSettings
from services.notifications.store import Store
from services.notifications.workers import BATCH, Housekeeper, Workers
from services.serve import Apps
from services.tokens import Verifier
from services.web import VERIFIER, create_internal_app, create_public_app

FCM_SECONDS = 10.0
FCM_CONNECT_SECONDS = 5.0


@asynccontextmanager
async def open_apps(settings: NotificationsSettings) -> AsyncIterator[Apps]:
    """Open what the service needs and close it at the end."""
    metrics = Metrics("notifications")
    pushes = PushMetrics(metrics.registry)
    async with open_database(settings.database) as database, _open_workers(settings, database, pushes) as workers:
        yield create_apps(settings, database, workers, metrics, pushes)


@asynccontextmanager
async def _open_workers(
    settings: NotificationsSettings, database: Database, metrics: PushMetrics
) -> AsyncIterator[Workers | None]:
    """Let workers send what is stored, until the service stops; there are none when pushes are off."""
    account = settings.service_account
    if account is None:
        yield None
        return
    timeout = aiohttp.ClientTimeout(total=FCM_SECONDS, connect=FCM_CONNECT_SECONDS)
    # One for each that is under way, and one for the access token: waiting for a connection is no failure of FCM's.
    connector = aiohttp.TCPConnector(limit=settings.pushes.workers * BATCH + 1)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        sender = FcmSender(account.project_id, AccessTokens(account, session), session, url=settings.fcm_url)
        outbox = Outbox(database)
        workers = Workers(outbox, sender, settings.pushes, metrics)
        housekeeper = Housekeeper(outbox, settings.pushes, metrics)
        housekeeping = asyncio.create_task(housekeeper.run())
        workers.start()
        try:
            yield workers
        finally:
            housekeeper.close()
            await workers.close()
            await asyncio.wait([housekeeping])


def create_apps(
    settings: NotificationsSettings,
    database: Database,
    workers: Workers | None,
    metrics: Metrics,
    pushes: PushMetrics,
) -> Apps:
    """Make both applications out of opened resources."""
    health, store = Health(), Store(database)
    wake = workers.wake if workers is not None else _nobody
    watch_database(health, metrics, database, Path(__file__).parent / "migrations")
    public = create_public_app(server=settings.server, health=health, metrics=metrics)
    public[VERIFIER], public[STORE] = Verifier(settings.token_keys, settings.legacy_tokens), store
    add_public_routes(public)
    internal = create_internal_app(
        server=settings.server, health=health, metrics=metrics, credential=settings.credential, openapi=DESCRIPTION
    )
    outbox = None if workers is None else Outbox(database)
    internal[PUSHER] = Pusher(outbox, store, pushes, settings.pushes.ttl_seconds, wake)
    add_internal_routes(internal)
    internal[DEAD_LETTERS] = DeadLetters(database, wake)
    add_dead_letter_routes(internal)
    internal[DELETER] = Deleter(database)
    add_deletion_route(internal)
    add_merging_route(internal, Merger(database).merge)
    return Apps(public=public, internal=internal, health=health)


def _nobody() -> None:
    """Wake nobody: nothing is pushed."""
