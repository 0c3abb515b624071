"""Say how a service is started, migrated and asked whether it is ready."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from deployer.local.console import Console, last_words
from deployer.local.layout import Layout, Service
from deployer.local.options import Firebase
from deployer.local.places import LOOPBACK, Places
from deployer.local.process import Program, describe, run_once
from deployer.local.settings import environment

_PROBE_SECONDS = 2
_PAUSE = 0.05


def service_program(service: Service, layout: Layout, places: Places, firebase: Firebase) -> Program:
    """Return what serves.

    Args:
        service: which.
        layout: where its secrets lie.
        places: where everything listens.
        firebase: who vouches for people.
    """
    return Program(
        name=service.name,
        # -P: what lies in the folder where it starts is no module.
        command=(sys.executable, "-P", "-m", service.module),
        environment=environment(service, layout, places, firebase),
        folder=layout.root,
    )


def migration(
    service: Service, layout: Layout, places: Places, firebase: Firebase, console: Console
) -> Callable[[], Awaitable[str]]:
    """Return what runs a service's migrations; it says why they failed, or nothing.

    It loads all of the service's code as well, so what cannot be loaded is found before the one that runs is ended.
    """
    program = service_program(service, layout, places, firebase)
    migrate = Program(
        name=program.name,
        command=(*program.command, "migrate"),
        environment=program.environment,
        folder=program.folder,
    )

    failed: list[str] = []

    async def run() -> str:
        nonlocal failed
        said: list[str] = []
        status = await run_once(migrate, said.append)
        # The same traceback again and again would only push away what is new.
        shown = [line for line in said if not _is_usual(line)] if not status else [] if said == failed else said
        for line in shown:
            console.line(service.name, line)
        failed = said if status else []
        return (last_words(said[-1]) if said else describe(status)) if status else ""

    return run


async def answers(port: int, path: str) -> bool:
    """Ask a path of this machine once, and tell whether the answer is 200."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n".encode())
                status = await reader.readline()
                return status.split(b" ")[1:2] == [b"200"]
            finally:
                writer.close()
    return False


async def await_answer(port: int, path: str) -> None:
    """Wait until a path of this machine answers 200, for as long as it takes."""
    while not await answers(port, path):  # noqa: ASYNC110  # another process tells nobody
        await asyncio.sleep(_PAUSE)


def _is_usual(line: str) -> bool:
    """Tell whether migrations found nothing to do."""
    with suppress(ValueError):
        record = json.loads(line)
        return isinstance(record, dict) and record.get("applied") == []
    return False
