"""Open the chat service: its resources, then its two applications."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

from aiohttp import web

from services.chat.bus.opening import open_bus
from services.chat.chat import Chat
from services.chat.deletion import DELETER, Deleter, add_deletion_route
from services.chat.dispatcher import Dispatcher, OutboxMetrics
from services.chat.features import open_features
from services.chat.features.presence import Presence
from services.chat.greeter import PATH, SocketGreeter
from services.chat.keys import CHAT, SETTINGS, SOCKETS, STORE
from services.chat.merging import Merger
from services.chat.metrics import ChatMetrics
from services.chat.openapi import DESCRIPTION
from services.chat.outbox import Outbox
from services.chat.recheck import rechecking
from services.chat.room import Rooms
from services.chat.routes import add_internal_routes, add_public_routes
from services.chat.settings import ChatSettings
from services.chat.socket import Sockets
from services.chat.store import Store
from services.chat.table import Table
from services.connections import GREETER
from services.database import Database, open_database
from services.health import Health, watch_database
from services.merging import add_merging_route
from services.metrics import Metrics
from services.peers import Peer, open_session
from services.scheduling import tuned
from services.serve import Apps
from services.tokens import Verifier
from services.web import VERIFIER, create_internal_app, create_public_app

# How long pushes that wait may keep a stopping process.
PUSH_SECONDS = 2.0


@asynccontextmanager
async def open_apps(settings: ChatSettings) -> AsyncIterator[Apps]:
    """Open what the service needs and close it at the end: sockets first, then what they wrote, then pushes."""
    metrics = Metrics("chat")
    counted = ChatMetrics(metrics.registry)
    rooms = Rooms(counted.deliveries.inc)
    async with (
        open_database(settings.database) as database,
        open_session() as session,
        open_bus(settings.bus, url=settings.database, database=database, rooms=rooms, metrics=counted) as opened,
    ):
        store, bus = Store(database, opened.commits), opened.bus
        presence = Presence(settings.feature_limits.presence_sockets, bus.publish)
        bus.present = presence.deliver
        notifications = Peer("notifications", settings.notifications_url, session, credential=settings.credential)
        dispatcher = Dispatcher(Outbox(database, presence.identities), notifications, OutboxMetrics(metrics.registry))
        dispatcher.start()
        chat = Chat(store, bus, dispatcher.wake, settings.limits, Table(database))
        features = open_features(
            database=database,
            store=store,
            chat=chat,
            publish=bus.publish,
            presence=presence,
            rooms=rooms,
            limits=settings.limits,
            feature_limits=settings.feature_limits,
            registry=metrics.registry,
        )
        verifier = Verifier(settings.token_keys, settings.legacy_tokens)
        sockets = Sockets(
            verifier=verifier,
            origins=settings.allowed_origins,
            chat=chat,
            rooms=rooms,
            limits=settings.limits,
            metrics=counted,
            extensions=features.extensions,
            owned=settings.owns_sockets,
        )
        counted.gauge("sockets_limit", "Sockets that may be open, here.", lambda: settings.limits.sockets)
        counted.gauge("rooms", "Rooms with somebody in them, here.", rooms.__len__)
        counted.gauge("writer_queue", "Messages and changes that wait to be stored.", chat.count_waiting)
        apps = _create_apps(settings, database, metrics)
        opened.watch(apps.health)
        apps.health.register("notifications", notifications.ping, essential=False)
        apps.public[VERIFIER], apps.public[STORE], apps.public[CHAT] = verifier, store, chat
        apps.public[SETTINGS], apps.public[SOCKETS] = settings, sockets
        if settings.owns_sockets:
            apps.public[GREETER] = SocketGreeter(apps.public, sockets)
        apps.public.on_shutdown.append(_drain)
        apps.internal[STORE], apps.internal[DELETER] = store, Deleter(database, chat)
        add_deletion_route(apps.internal)
        add_merging_route(apps.internal, Merger(database).merge)
        features.add_to(apps.public, apps.internal)
        scheduled = tuned(chat.count_rounds) if settings.tunes_scheduling else nullcontext()
        async with rechecking(sockets, database, settings.limits.recheck_seconds), scheduled:
            yield apps
        await features.close()
        await chat.close()
        await dispatcher.close(PUSH_SECONDS)


def _create_apps(settings: ChatSettings, database: Database, metrics: Metrics) -> Apps:
    health = Health()
    watch_database(health, metrics, database, Path(__file__).parent / "migrations")
    public = create_public_app(server=settings.server, health=health, metrics=metrics, socket_path=PATH)
    add_public_routes(public)
    internal = create_internal_app(
        server=settings.server, health=health, metrics=metrics, credential=settings.credential, openapi=DESCRIPTION
    )
    add_internal_routes(internal)
    return Apps(public=public, internal=internal, health=health)


async def _drain(app: web.Application) -> None:
    await app[SOCKETS].drain()
