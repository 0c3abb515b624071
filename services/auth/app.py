"""Open the auth service: its resources, then its two applications."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from services.auth.accounts import Accounts
from services.auth.deletions import Deletions
from services.auth.firebase import FirebaseVerifier
from services.auth.firebase_keys import FirebaseKeys
from services.auth.keys import ACCOUNTS, CHAT, SESSIONS
from services.auth.merging import Merger
from services.auth.openapi import DESCRIPTION
from services.auth.providers import Provider, dev_profile
from services.auth.routes import add_routes
from services.auth.sessions import Sessions
from services.auth.settings import AuthSettings
from services.auth.store import Store
from services.database import Database, open_database
from services.health import Health, watch_database
from services.metrics import Metrics
from services.page import add_page
from services.peers import Peer, open_session
from services.serve import Apps
from services.tokens import Signer, Verifier
from services.web import VERIFIER, create_internal_app, create_public_app


@asynccontextmanager
async def open_apps(settings: AuthSettings) -> AsyncIterator[Apps]:
    """Open what the service needs and close it at the end."""
    async with open_database(settings.database) as database, open_session() as session:
        apps = create_apps(settings, database, session)
        accounts = apps.public[ACCOUNTS]
        unfinished = asyncio.create_task(accounts.run())
        try:
            yield apps
        finally:
            accounts.close()
            await unfinished


def create_apps(settings: AuthSettings, database: Database, session: aiohttp.ClientSession) -> Apps:
    """Make both applications out of opened resources."""
    health, metrics = Health(), Metrics("auth")
    watch_database(health, metrics, database, Path(__file__).parent / "migrations")
    public = create_public_app(server=settings.server, health=health, metrics=metrics, login_path="/login")
    public[VERIFIER] = Verifier(settings.token_keys, settings.legacy_tokens)
    public[CHAT] = Peer("chat", settings.chat_public_url, session)
    chat = Peer("chat", settings.chat_internal_url, session, credential=settings.credential)
    notifications = Peer("notifications", settings.notifications_internal_url, session, credential=settings.credential)
    health.register("chat", chat.ping, essential=False)
    health.register("notifications", notifications.ping, essential=False)
    public[ACCOUNTS] = Accounts(Deletions(database), chat, notifications, metrics.registry)
    store = Store(database)
    public[SESSIONS] = Sessions(
        store=store,
        chat=chat,
        merger=Merger(store, chat, notifications),
        signer=Signer(settings.private_key),
        providers=_providers(settings, session),
        session_seconds=settings.session_seconds,
    )
    add_routes(public)
    if settings.page is not None:
        add_page(public, settings.page)
    internal = create_internal_app(
        server=settings.server, health=health, metrics=metrics, credential=settings.credential, openapi=DESCRIPTION
    )
    return Apps(public=public, internal=internal, health=health)


def _providers(settings: AuthSettings, session: aiohttp.ClientSession) -> dict[str, Provider]:
    providers: dict[str, Provider] = {}
    if "dev" in settings.logins:
        providers["dev"] = dev_profile
    if "google" in settings.logins:
        keys = FirebaseKeys(settings.firebase_keys_url, session)
        providers["google"] = FirebaseVerifier(settings.firebase_project_id, keys)
    return providers
