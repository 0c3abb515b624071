"""Run the other side: centrifuge, the library inside Centrifugo."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from pathlib import Path

from bench.chat.plan import Room
from bench.chat.stack import free_port

START_SECONDS = 10


class Centrifuge:
    """Own one server.

    Args:
        binary: built from bench/chat/peer.
    """

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for its port.

        Raises:
            RuntimeError: it does not start.
        """
        self._port = free_port()
        self._process = subprocess.Popen([self._binary, "-address", f"127.0.0.1:{self._port}"])
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("centrifuge did not start") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def restart(self) -> None:
        """Start anew, with fresh memory."""
        self.stop()
        self.start()

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect."""
        return (f"ws://127.0.0.1:{self._port}/connection/websocket",)

    @property
    def servers(self) -> dict[str, int]:
        """Its process."""
        assert self._process is not None  # noqa: S101  # started first
        return {"centrifuge": self._process.pid}

    @staticmethod
    def make_rooms(rooms: int, size: int) -> tuple[Room, ...]:
        """Name channels; nobody has to exist."""
        run = secrets.token_hex(4)
        return tuple(Room(f"bench-{run}-{room}", ("",) * size) for room in range(rooms))
