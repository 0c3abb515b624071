"""Open the notifications service: its resources, then its two applications."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from services.database import Database, open_database
from services.health import Health, watch_database
from services.metrics import Metrics
from services.notifications.deletion import DELETER, Deleter, add_deletion_route
from services.notifications.fcm import FcmSender
from services.notifications.keys import PUSHER, STORE
from services.notifications.openapi import DESCRIPTION
from services.notifications.push import Pusher
from services.notifications.routes import add_internal_routes, add_public_routes
from services.notifications.service_account import AccessTokens
from services.notifications.settings import NotificationsSettings
from services.notifications.store import Store
from services.peers import open_session
from services.serve import Apps
from services.tokens import Verifier
from services.web import VERIFIER, create_internal_app, create_public_app


@asynccontextmanager
async def open_apps(settings: NotificationsSettings) -> AsyncIterator[Apps]:
    """Open what the service needs and close it at the end."""
    async with open_database(settings.database) as database, open_session() as session:
        yield create_apps(settings, database, session)


def create_apps(settings: NotificationsSettings, database: Database, session: aiohttp.ClientSession) -> Apps:
    """Make both applications out of opened resources."""
    health, metrics, store = Health(), Metrics("notifications"), Store(database)
    watch_database(health, metrics, database, Path(__file__).parent / "migrations")
    public = create_public_app(server=settings.server, health=health, metrics=metrics)
    public[VERIFIER], public[STORE] = Verifier(settings.token_keys), store
    add_public_routes(public)
    internal = create_internal_app(
        server=settings.server, health=health, metrics=metrics, credential=settings.credential, openapi=DESCRIPTION
    )
    internal[PUSHER] = Pusher(store, _sender(settings, session), metrics.registry)
    add_internal_routes(internal)
    internal[DELETER] = Deleter(database)
    add_deletion_route(internal)
    return Apps(public=public, internal=internal, health=health)


def _sender(settings: NotificationsSettings, session: aiohttp.ClientSession) -> FcmSender | None:
    account = settings.service_account
    if account is None:
        return None
    return FcmSender(account.project_id, AccessTokens(account, session), session, url=settings.fcm_url)
