"""Open the auth service: its resources, then its two applications."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from services.auth.firebase import FirebaseVerifier
from services.auth.firebase_keys import FirebaseKeys
from services.auth.keys import CHAT, SESSIONS
from services.auth.openapi import DESCRIPTION
from services.auth.providers import Provider, dev_profile
from services.auth.routes import add_routes
from services.auth.sessions import Sessions
from services.auth.settings import AuthSettings
from services.auth.store import Store
from services.database import Database, open_database
from services.health import Health, watch_database
from services.metrics import Metrics
from services.peers import Peer, open_session
from services.serve import Apps
from services.tokens import Signer, Verifier
from services.web import VERIFIER, create_internal_app, create_public_app


@asynccontextmanager
async def open_apps(settings: AuthSettings) -> AsyncIterator[Apps]:
    """Open what the service needs and close it at the end."""
    async with open_database(settings.database) as database, open_session() as session:
        yield create_apps(settings, database, session)


def create_apps(settings: AuthSettings, database: Database, session: aiohttp.ClientSession) -> Apps:
    """Make both applications out of opened resources."""
    health, metrics = Health(), Metrics("auth")
    watch_database(health, metrics, database, Path(__file__).parent / "migrations")
    public = create_public_app(server=settings.server, health=health, metrics=metrics, login_path="/login")
    public[VERIFIER] = Verifier(settings.token_keys)
    public[CHAT] = Peer("chat", settings.chat_public_url, session)
    public[SESSIONS] = Sessions(
        store=Store(database),
        chat=Peer("chat", settings.chat_internal_url, session, credential=settings.credential),
        signer=Signer(settings.private_key),
        providers=_providers(settings, session),
        session_seconds=settings.session_seconds,
    )
    add_routes(public)
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
