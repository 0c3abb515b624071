"""Know whether this process can do its work: health as data, one named check a resource."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from services.database import Database
from services.errors import Unavailable
from services.metrics import Metrics
from services.migrations import load_migrations

# A probe gives up after 3 s; our answer, with what hangs named in it, has to come before.
CHECK_SECONDS = 2.0

_APPLIED = "SELECT coalesce(max(number), 0) FROM stampchat_migrations"

Check = Callable[[], Awaitable[object]]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """Say how a process is.

    Attributes:
        is_ready: whether it should be sent traffic.
        checks: "ok" or what is wrong, by the check's name.
        degraded: the names of what is away, but not needed for most of the work.
    """

    is_ready: bool
    checks: dict[str, str]
    degraded: list[str]


class Health:
    """Collect the checks that readiness runs; liveness runs none.

    Attributes:
        draining: set at SIGTERM, so that nothing new is sent here.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._optional: set[str] = set()
        self._running: set[asyncio.Future[object]] = set()
        self.draining = False

    def register(self, name: str, check: Check, *, essential: bool = True) -> None:
        """Add a check; it fails by raising.

        Args:
            name: in the report.
            check: what asks.
            essential: whether a failure takes this process out of service. Another service is not: its absence is
                seen by every replica at once, and to take them all out would turn one failure into two.
        """
        self._checks[name] = check
        if not essential:
            self._optional.add(name)

    async def report(self) -> Report:
        """Run all checks at once."""
        words = await asyncio.gather(*(self._run(check) for check in self._checks.values()))
        checks = dict(zip(self._checks, words, strict=True))
        failing = [name for name, word in checks.items() if word != "ok"]
        if self.draining:
            checks["draining"] = "this process is stopping"
        return Report(
            is_ready=not self.draining and self._optional.issuperset(failing),
            checks=checks,
            degraded=[name for name in failing if name in self._optional],
        )

    async def _run(self, check: Check) -> str:
        task = asyncio.ensure_future(check())
        self._running.add(task)
        task.add_done_callback(self._forget)
        done, _ = await asyncio.wait({task}, timeout=CHECK_SECONDS)
        if not done:
            # Not waited for: a query to a server that hangs takes seconds to be given up.
            task.cancel()
            return "failing: no answer in time"
        if error := task.exception():
            return f"failing: {error}" if str(error) else f"failing: {type(error).__name__}"
        return "ok"

    def _forget(self, task: asyncio.Future[object]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()


def watch_database(health: Health, metrics: Metrics, database: Database, migrations: Path) -> None:
    """Let readiness ask for the database and its tables, and metrics tell of both.

    Args:
        health: takes the checks.
        metrics: takes the numbers.
        database: the service's.
        migrations: the folder of its SQL files.
    """
    needed = len(load_migrations(migrations))
    metrics.migration.labels("needed").set(needed)
    metrics.database_pool_size.set(database.most)
    database.on_lend = metrics.database_wait.observe
    metrics.database_connections.labels("used").set_function(lambda: database.count()[0])
    metrics.database_connections.labels("idle").set_function(lambda: database.count()[1])

    async def check_migrations() -> None:
        async with database.connection() as connection:
            applied = await connection.fetchval(_APPLIED)
        metrics.migration.labels("applied").set(applied)
        # One that is ahead belongs to the next version of us, and fits this one too.
        if applied < needed:
            raise Unavailable(f"The database is at migration {applied}, and this version needs {needed}.")

    health.register("database", database.ping)
    health.register("migrations", check_migrations)
