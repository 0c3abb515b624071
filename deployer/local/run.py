"""Run everything until Ctrl-C, and end it in order."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from deployer.errors import DeployError, UsageError
from deployer.greeting import login_lines
from deployer.local.claim import claim, note_running
from deployer.local.console import Console
from deployer.local.gateway import gateway_command, write_routes
from deployer.local.keys import ensure_keys
from deployer.local.lan import find_addresses, lan_lines
from deployer.local.layout import SERVICES, Layout, Service, load_layout
from deployer.local.options import Firebase, LocalOptions, load_firebase
from deployer.local.page import publish
from deployer.local.places import Places, choose_places
from deployer.local.postgres import Postgres, end_orphan
from deployer.local.process import Program
from deployer.local.service import await_answer, migration, service_program
from deployer.local.settings import GRACE_SECONDS, write_database_urls
from deployer.local.unit import Unit
from deployer.local.watch import affected, changed_files, is_page, syntax_problem
from deployer.workspace import Workspace

# A new database and its write-ahead log take some 60 MB.
_NEEDED_BYTES = 200 * 1024 * 1024
_STOPPED = 130
# After a change nobody is told that a service is back which takes longer than this; its own lines say why.
_BACK_SECONDS = 20


def run(workspace: Workspace, options: LocalOptions, stream: TextIO) -> int:
    """Run the three services, their database and the gateway until Ctrl-C.

    Args:
        workspace: the checkout.
        options: what the user asks for.
        stream: where it is shown.

    Returns:
        The exit code: 0 after one Ctrl-C, 130 after a second one.

    Raises:
        DeployError: something of it cannot run here.
    """
    layout = load_layout(workspace)
    firebase = load_firebase(options)
    with claim(layout), ExitStack() as held:
        try:
            if options.fresh:
                _remove_data(layout, options)
            _check_disk(layout.folder)
            places = choose_places(layout, options.port, held)
            if options.lan:
                places = dataclasses.replace(places, lan=tuple(find_addresses()))
            ensure_keys(layout)
            write_database_urls(layout, places)
            write_routes(layout, places)
            note_running(layout, places.url)
        except OSError as error:
            raise _unwritable(error, layout) from error
        console = Console(stream, layout.logs, as_json=options.as_json, colour=options.colour, quiet=options.quiet)
        try:
            publish(layout, console)
            return asyncio.run(Local(layout, places, firebase, options, console).run())
        finally:
            console.close()


class Local:
    """Be all that runs.

    Args:
        layout: where everything lies.
        places: where everything listens.
        firebase: who vouches for people.
        options: what the user asks for.
        console: where it is shown.
    """

    def __init__(
        self, layout: Layout, places: Places, firebase: Firebase, options: LocalOptions, console: Console
    ) -> None:
        self._layout = layout
        self._places = places
        self._options = options
        self._console = console
        self._postgres = Postgres(layout, places)
        self._ending = asyncio.Event()
        self._killed = False
        self._keepers: set[asyncio.Task[None]] = set()
        self._database = Unit(self._postgres.program(), console, prepare=self._prepare_database, patience=20)
        self._gateway = Unit(self._gateway_program(), console, prepare=_nothing, patience=5)
        self._services = {
            service.name: Unit(
                service_program(service, layout, places, firebase),
                console,
                prepare=migration(service, layout, places, firebase, console),
                patience=GRACE_SECONDS + 5,
            )
            for service in SERVICES
        }
        self._failures: list[str] = []

    async def run(self) -> int:
        """Serve until a signal; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupt)
        serving = asyncio.ensure_future(self._serve())
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait({serving, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            finished = serving.done()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await self._stop()
        if finished:
            serving.result()
        return _STOPPED if self._killed else 0

    async def _serve(self) -> None:
        started = time.monotonic()
        self._console.tell("starting Postgres, the gateway, auth, chat and notifications")
        self._keep(self._gateway)
        self._keep(self._database)
        await self._postgres.fill(self._failures)
        for unit in self._services.values():
            self._keep(unit)
        await asyncio.gather(self._watch(), self._greet(started), self._listen())

    async def _listen(self) -> None:
        """End when nobody reads what we say any more, or when a keeper fails, which none should."""
        while not self._console.deaf:
            for task in self._keepers:
                if task.done():
                    task.result()
            await asyncio.sleep(0.5)
        self._ending.set()

    async def _greet(self, started: float) -> None:
        """Say that all answer, where, and how to begin."""
        await asyncio.gather(*(self._answer(service) for service in SERVICES))
        await await_answer(self._places.gateway, "/auth/test")
        seconds = time.monotonic() - started
        url, options = self._places.url, self._options
        addresses = list(self._places.lan)
        data, logs = self._layout.data, self._layout.logs
        if options.as_json:
            lan = [f"http://{address}:{self._places.gateway}" for address in addresses]
            self._console.tell("serving", url=url, lan=lan, data=str(data), logs=str(logs), seconds=round(seconds, 2))
            return
        self._console.show(
            [
                "",
                f"StampChat serves, {seconds:.1f} s after its start. A saved change in services/ is served at once.",
                "",
                *login_lines(url),
                "  Try it    ./stampchat smoke --local        two users chat through the gateway",
                f"  Data      {data}        kept; `--fresh` starts anew",
                f"  Logs      {logs}",
                "  End       Ctrl-C",
                *(lan_lines(self._places.gateway, addresses, picture=options.colour) if options.lan else ()),
                "",
            ]
        )

    async def _watch(self) -> None:
        try:
            async for changed in changed_files(self._layout.root):
                await self._reload(changed)
        except OSError as error:
            self._console.tell(f"changes are not noticed, start again after one: {error}", level="warning")

    async def _reload(self, changed: set[Path]) -> None:
        services = affected(self._layout.root, changed)
        root = self._layout.root
        names = ", ".join(service.name for service in services)
        if problem := syntax_problem(root, changed):
            self._console.tell(f"{problem}; {names}: what ran goes on until it is mended", level="error")
            return
        first = sorted(str(path.relative_to(root)) for path in changed)
        more = f" and {len(first) - 1} more" if len(first) > 1 else ""
        self._console.tell(f"{first[0]}{more} changed: {names} anew")
        if is_page(root, changed) and not await asyncio.to_thread(publish, self._layout, self._console):
            return
        started = time.monotonic()
        came = await asyncio.gather(*(self._units_anew(service) for service in services))
        if all(came):
            self._console.tell(f"{names} served anew after {time.monotonic() - started:.1f} s")

    async def _units_anew(self, service: Service) -> bool:
        if not await self._services[service.name].reload():
            return False
        try:
            await asyncio.wait_for(self._answer(service), _BACK_SECONDS)
        except TimeoutError:
            return False
        return True

    async def _answer(self, service: Service) -> None:
        await await_answer(self._places.internal[service.name], "/readyz")

    async def _prepare_database(self) -> str:
        # Whoever comes here a second time has ended before.
        if self._database.crashes > len(self._failures):
            self._failures.append(self._database.said)
        if trouble := await self._postgres.prepare():
            self._failures.append(trouble)
        return self._failures[-1] if trouble else ""

    def _gateway_program(self) -> Program:
        command = gateway_command(self._layout, self._places, lan=self._options.lan)
        return Program(name="gateway", command=command, environment={"PATH": "/usr/bin:/bin"})

    def _keep(self, unit: Unit) -> None:
        self._keepers.add(asyncio.ensure_future(unit.keep()))

    def _interrupt(self) -> None:
        if not self._ending.is_set():
            self._ending.set()
            return
        self._killed = True
        for unit in (*self._services.values(), self._gateway, self._database):
            unit.kill()

    async def _stop(self) -> None:
        """End the services first, so that they can tell their sockets; the database last, when nobody uses it."""
        self._console.tell("ending (Ctrl-C again kills)")
        await asyncio.gather(*(unit.stop() for unit in self._services.values()))
        await self._gateway.stop()
        await self._database.stop()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        self._console.tell("ended" if not self._killed else "killed")


async def _nothing() -> str:
    return ""


def _remove_data(layout: Layout, options: LocalOptions) -> None:
    there = [path for path in (layout.database, layout.secrets, layout.token_keys, layout.logs) if path.exists()]
    if not there:
        return
    if not options.confirm(f"All users, messages and secrets in {layout.folder} are about to be deleted."):
        raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
    end_orphan(layout.data)
    for path in there:
        shutil.rmtree(path)


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise DeployError(
            f"The disk of {folder} has {free / 1e6:.0f} MB free; {_NEEDED_BYTES / 1e6:.0f} MB are needed.",
            advice="Make room, or put it elsewhere: STAMPCHAT_HOME=/a/larger/disk ./stampchat local.",
        )


def _unwritable(error: OSError, layout: Layout) -> DeployError:
    return DeployError(
        f"{error.filename or layout.folder} cannot be written: {error.strerror or error}.",
        advice="Make room or run as the folder's owner, or put it elsewhere with STAMPCHAT_HOME.",
    )
