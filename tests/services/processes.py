"""Run the three services as processes, as they are deployed: settings in the environment, secrets in files."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.migrations import migrate
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer, encode_public_key

ROOT = Path(__file__).resolve().parents[2]
# For a machine that does much else meanwhile.
SECONDS = 60


@dataclass
class Process:
    """Be one service that runs.

    Attributes:
        name: which.
        running: the process.
        log: what it writes to stderr goes there.
        public: its public port's address.
        internal: its internal port's address.
    """

    name: str
    running: asyncio.subprocess.Process
    log: Path
    public: str = ""
    internal: str = ""

    def lines(self) -> list[dict[str, Any]]:
        """Return the log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    async def said(self, message: str, *, count: int = 1) -> dict[str, Any]:
        """Wait until the log has a message so many times; return the line."""
        async with asyncio.timeout(SECONDS):
            while True:
                found = [line for line in self.lines() if line["message"] == message]
                if len(found) >= count:
                    return found[-1]
                assert self.running.returncode is None, self.log.read_text()
                await asyncio.sleep(0.02)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        with suppress(ProcessLookupError):
            self.running.send_signal(number)
        return await asyncio.wait_for(self.running.wait(), SECONDS)


@dataclass
class Fleet:
    """Hold what the three services share, and start them.

    Attributes:
        folder: for files and logs.
        databases: by the service's name.
        credential: what services show each other.
        private_key: what auth signs with.
        secret_key_base: chat's.
        extra: more settings, by the service's name.
        started: what runs.
    """

    folder: Path
    databases: dict[str, DatabaseSettings]
    credential: str = field(default_factory=lambda: secrets.token_hex(32))
    private_key: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    secret_key_base: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    extra: dict[str, dict[str, str]] = field(default_factory=dict)
    started: dict[str, Process] = field(default_factory=dict)

    @property
    def signer(self) -> Signer:
        """What mints as auth does."""
        return Signer(Secret(self.private_key))

    def write(self, name: str, content: str) -> str:
        """Write a file that a service mounts; return its path."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        return str(path)

    def environ(self, name: str) -> dict[str, str]:
        """Return all settings of a service; its peers have to run already."""
        signer = self.signer
        self.write(f"keys/{signer.kid}.pem", encode_public_key(signer.public_key))
        settings = {
            "HOST": "127.0.0.1",
            "PUBLIC_PORT": "0",
            "INTERNAL_PORT": "0",
            "LOG_LEVEL": "debug",
            "GRACE_SECONDS": "10",
            "DATABASE_URL_FILE": self.write(f"{name}/database_url", self.databases[name].url.reveal()),
            "INTERNAL_CREDENTIAL_FILE": self.write("credential", self.credential),
            "TOKEN_KEYS_DIR": str(self.folder / "keys"),
            **getattr(self, f"_{name}")(),
            **self.extra.get(name, {}),
        }
        plain = {key: value for key, value in settings.items() if key.startswith("OTEL_")}
        ours = {f"STAMPCHAT_{key}": value for key, value in settings.items() if key not in plain}
        return {"PATH": os.environ["PATH"], **ours, **plain}

    async def run(self, name: str, *arguments: str) -> Process:
        """Start a service, or a command of it."""
        log = self.folder / f"{'-'.join((name, *arguments))}.log"
        with log.open("wb") as output:
            running = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{name}",
                *arguments,
                env=self.environ(name),
                cwd=ROOT,
                stderr=output,
                stdout=output,
            )
        return Process(name, running, log)

    async def start(self, name: str) -> Process:
        """Migrate a service's database and serve."""
        await migrate(self.databases[name], ROOT / "services" / name / "migrations")
        process = self.started[name] = await self.run(name)
        ports = await process.said("serving")
        process.public, process.internal = (f"http://127.0.0.1:{ports[port]}" for port in ("public", "internal"))
        return process

    async def start_all(self) -> None:
        """Start each after those that it calls."""
        for name in ("notifications", "chat", "auth"):
            await self.start(name)

    async def kill(self) -> None:
        """End what still runs."""
        for process in self.started.values():
            if process.running.returncode is None:
                process.running.kill()
                await process.running.wait()

    def _notifications(self) -> dict[str, str]:
        return {"PUSH": "off"}

    def _chat(self) -> dict[str, str]:
        return {
            "SECRET_KEY_BASE_FILE": self.write("secret_key_base", self.secret_key_base),
            "NOTIFICATIONS_INTERNAL_URL": self._internal("notifications"),
        }

    def _auth(self) -> dict[str, str]:
        chat = self.started.get("chat")
        return {
            "PRIVATE_KEY_FILE": self.write("private_key", self.private_key),
            "CHAT_INTERNAL_URL": self._internal("chat"),
            "CHAT_PUBLIC_URL": chat.public if chat else "http://127.0.0.1:9",
            "NOTIFICATIONS_INTERNAL_URL": self._internal("notifications"),
            "LOGIN": "dev",
        }

    def _internal(self, name: str) -> str:
        peer = self.started.get(name)
        return peer.internal if peer else "http://127.0.0.1:9"
