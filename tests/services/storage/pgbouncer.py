"""Run a real PgBouncer in front of a test's Postgres."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.ports import free_port
from tests.services.postgres import PostgresServer, as_nobody, give

START_SECONDS = 60


class PgBouncer:
    """Own a pooler that gives each transaction whichever of two server connections is free.

    Args:
        program: the binary.
        environment: where it finds its libraries.
        server: what it stands in front of.
        mode: "transaction" or "session".
    """

    def __init__(self, program: Path, environment: dict[str, str], server: PostgresServer, mode: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stampchat-pool-", dir="/tmp"))
        self.port = free_port()
        give(self.folder)
        (self.folder / "users").write_text('"postgres" ""\n')
        (self.folder / "ini").write_text(
            f"""
[databases]
* = host={server.folder} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
auth_file = {self.folder}/users
pool_mode = {mode}
default_pool_size = 2
max_client_conn = 200
server_round_robin = 1
"""
        )
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, str(self.folder / "ini")],
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
                cwd="/",
                **as_nobody(),
            )
        self._wait()

    def url(self, database: str) -> str:
        """Return the address of one database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def remove(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("PgBouncer did not start:\n" + (self.folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return
