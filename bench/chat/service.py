"""Run one of our services as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
STOP_SECONDS = 30


class Service:
    """Be one running service.

    Args:
        name: chat or notifications.
        folder: for its log.
        environ: its settings.
        profile: where cProfile keeps its figures, if it shall run.
        log_name: one of its own, where there are several.
    """

    def __init__(
        self, name: str, folder: Path, environ: dict[str, str], profile: str | None = None, log_name: str = ""
    ) -> None:
        self._name = name
        self.log_name = log_name or name
        self._log = folder / f"{self.log_name}.log"
        self._environ = environ
        self._profile = ["-m", "cProfile", "-o", profile] if profile else []
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.internal_port = 0

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None  # noqa: S101  # started first
        return self._process.pid

    def migrate(self) -> None:
        """Bring its database up to date."""
        command = [sys.executable, "-m", f"services.{self._name}", "migrate"]
        subprocess.run(command, cwd=ROOT, env=self._environ, check=True, capture_output=True)

    def start(self) -> None:
        """Start it and wait for its ports.

        Raises:
            RuntimeError: it does not start.
        """
        offset = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            command = [sys.executable, *self._profile, "-m", f"services.{self._name}"]
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environ, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            said = self._log.read_bytes()[offset:].decode(errors="replace")
            for line in said.splitlines():
                with suppress(json.JSONDecodeError):
                    entry = json.loads(line)
                    if entry.get("message") == "serving":
                        self.port, self.internal_port = entry["public"], entry["internal"]
                        return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._name} did not start:\n{said[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it as Kubernetes would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def restart(self) -> None:
        """Start anew, with fresh memory."""
        self.stop()
        self.start()
