"""Run a service: both of its ports until SIGTERM, or its migrations."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import uvloop
from aiohttp import web
from prometheus_client import disable_created_metrics

from services.arrivals import BusySite
from services.background import beside
from services.connections import GuardedRunner
from services.door import Door, Watch
from services.errors import StartError
from services.file_limit import raise_file_limit
from services.health import Health
from services.logs import configure_logging
from services.migrations import migrate
from services.settings import DatabaseSettings, ServerSettings, Source, load_database
from services.tracing import tracing
from services.web import METRICS

EXIT_FAILED = 1
EXIT_MISUSED = 2
# After a restart everybody connects at once; the kernel caps it at net.core.somaxconn, usually 4096.
BACKLOG = 4096
# Python looks for cycles after every 700 new objects, which is 4 % of what joins take; so many are some megabytes.
GARBAGE_OBJECTS = 20_000
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
logger = logging.getLogger(__name__)


class ServiceSettings(Protocol):
    """Be what every service's settings have."""

    @property
    def server(self) -> ServerSettings:
        """Where it listens."""

    @property
    def database(self) -> DatabaseSettings:
        """Where it stores."""


S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True)
class Apps:
    """Hold the two applications of an opened service.

    Attributes:
        public: what the gateway reaches.
        internal: what only machines reach.
        health: what readiness reports; serving sets `draining` at SIGTERM. What a service does then (chat tells its
            sockets to reconnect) it hangs on `public.on_shutdown`, which runs after the port stopped listening.
    """

    public: web.Application
    internal: web.Application
    health: Health


@dataclass(frozen=True)
class Ports:
    """Say which ports were bound."""

    public: int
    internal: int


@dataclass(frozen=True)
class Service(Generic[S]):
    """Describe one service to main().

    Attributes:
        name: auth, chat or notifications.
        load_settings: reads all of its settings.
        open_apps: opens its resources, makes its applications and closes the resources at the end.
        migrations: the folder of its SQL files.
        commands: what else it can be told to do, each with the settings and the words that follow its name.
    """

    name: str
    load_settings: Callable[[Source], S]
    open_apps: Callable[[S], AbstractAsyncContextManager[Apps]]
    migrations: Path
    commands: Mapping[str, Callable[[Source, Sequence[str]], int]] = field(default_factory=dict)


@contextlib.asynccontextmanager
async def listening(apps: Apps, server: ServerSettings) -> AsyncIterator[Ports]:
    """Bind both ports; at the end stop the public one first, and answer probes until its last request is done."""
    metrics = apps.public[METRICS]
    door = Door(server.connections, Watch(metrics.count_connections, metrics.count_cut))
    internal = web.AppRunner(apps.internal, access_log=None, shutdown_timeout=1, auto_decompress=False)
    # aiohttp waits so long twice: for the handler, and for what it leaves.
    public = GuardedRunner(apps.public, door, shutdown_timeout=server.grace_seconds / 2)
    async with beside(metrics.watch_loop()):
        try:
            yield Ports(
                internal=await _bind(internal, web.TCPSite, server.host, server.internal_port),
                public=await _bind(public, BusySite, server.host, server.public_port),
            )
        finally:
            await public.cleanup()
            await internal.cleanup()


async def _bind(runner: web.AppRunner, make_site: type[web.TCPSite], host: str, port: int) -> int:
    await runner.setup()
    try:
        await make_site(runner, host, port, backlog=BACKLOG).start()
    except OSError as error:
        raise StartError(f"Port {port} of {host} cannot be bound: {error.strerror or error}.") from error
    return int(runner.addresses[0][1])


async def serve(opened: AbstractAsyncContextManager[Apps], server: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight; a second signal changes nothing.

    Kubernetes takes a pod out of its Service while the preStop hook sleeps, so no new request arrives meanwhile.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop.set)
    async with opened as apps, listening(apps, server) as ports:
        logger.info("serving", extra={"fields": {"public": ports.public, "internal": ports.internal}})
        await stop.wait()
        apps.health.draining = True
        logger.info("stopping")
    logger.info("stopped")


def main(service: Service[S], arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Serve, or migrate when told so; return the exit code.

    Args:
        service: what to run.
        arguments: none, "migrate", or one of its commands.
        environ: the settings; the process's environment unless told.
    """
    source = Source(os.environ if environ is None else environ)
    # The first process of a container is not ended by a signal that it does not handle.
    before = {number: signal.signal(number, _leave) for number in _SIGNALS}
    try:
        match list(arguments):
            case []:
                _run_server(service, source, os.environ if environ is None else environ)
            case ["migrate"]:
                _run_migrations(service, source)
            case [name, *rest] if name in service.commands:
                return service.commands[name](source, rest)
            case _:
                words = " | ".join(("migrate", *service.commands))
                sys.stderr.write(f"usage: python -m services.{service.name} [{words}]\n")
                return EXIT_MISUSED
    except StartError as error:
        sys.stderr.write(f"services.{service.name} cannot start. {error}\n")
        return EXIT_FAILED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _leave(number: int, _frame: object) -> None:
    """End a process that has not begun to serve, or that migrates: its transaction then leaves nothing behind."""
    raise StartError(f"It was told to stop ({signal.Signals(number).name}).")


def _run_server(service: Service[S], source: Source, environ: Mapping[str, str]) -> None:
    settings = service.load_settings(source)
    source.finish()
    configure_logging(service.name, settings.server.log_level)
    if unread := source.unread():
        logger.warning("unknown settings", extra={"fields": {"names": unread}})
    raise_file_limit(settings.server.connections.most)
    # A second series for each counter, which says when it was made.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    # What is loaded stays, and need not be looked through again; what a burst of sockets makes stays too, for a while.
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)
    with tracing(service.name, environ), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(service.open_apps(settings), settings.server))


def _run_migrations(service: Service[S], source: Source) -> None:
    database = load_database(source)
    source.finish()
    configure_logging(service.name, "info")
    asyncio.run(migrate(database, service.migrations))
