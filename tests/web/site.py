"""Run the real services with their database and gateway, as `./stampchat local` does, with a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.error import HTTPError

from deployer.workspace import ROOT, load_workspace
from tests.ports import free_port

LIMIT = 180


class Site:
    """Be the services, and what else one may do to them.

    Args:
        words: options of `local`.
        settings: of the services, without their prefix.
    """

    def __init__(self, *words: str, **settings: str) -> None:
        self._words = words
        # Where Postgres's own user reaches it; pytest's folders are root's alone.
        self.home = Path(mkdtemp(prefix="stampchat-web-", dir="/tmp"))
        self.home.chmod(0o755)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {key: value for key, value in os.environ.items() if not key.startswith(("STAMPCHAT_", "COV_"))}
        places = {"HOME": str(self.home), "VENV": sys.prefix, "CACHE": str(load_workspace().cache)}
        self._environ = own | {f"STAMPCHAT_{name}": value for name, value in (places | settings).items()}
        self._log = self.home / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(ROOT / "stampchat"), "local", "--port", str(self.port), "--json", *self._words],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.await_line("local", "serving", 1)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(LIMIT)
        shutil.rmtree(self.home, ignore_errors=True)

    def await_line(self, service: str, message: str, count: int) -> None:
        """Wait until a service has said something so many times."""
        deadline = time.monotonic() + LIMIT
        while self.count(service, message) < count:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def count(self, service: str, message: str) -> int:
        return sum(1 for line in self._lines() if (line.get("service"), line.get("message")) == (service, message))

    def kill(self, service: str) -> None:
        """End a service's process without a word; `local` starts it again."""
        (pid,) = [
            int(entry.name)
            for entry in Path("/proc").glob("[0-9]*")
            if f"services.{service}" in _read(entry / "cmdline")
            if f"STAMPCHAT_PUBLIC_PORT={self._public_port(service)}\0" in _read(entry / "environ")
            if f"{self.home}/" in _read(entry / "environ")
            if "migrate" not in _read(entry / "cmdline")
        ]
        os.kill(pid, signal.SIGKILL)

    def _public_port(self, service: str) -> int:
        return int(
            [line for line in self._lines() if (line.get("service"), line.get("message")) == (service, "serving")][-1][
                "public"
            ]
        )

    def _lines(self) -> list[dict[str, Any]]:
        found = []
        for line in self._log.read_text(errors="replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def log_in(self, name: str) -> Caller:
        """Be somebody without a browser."""
        answer = call(self.url, "POST", "/auth/login", {"authProvider": "dev", "token": name})
        return Caller(self.url, answer["token"], answer["identity"])


class Caller:
    """Call the services in somebody's name."""

    def __init__(self, url: str, token: str, identity: str) -> None:
        self._url, self.token, self.identity = url, token, identity

    def get(self, path: str) -> Any:
        return call(self._url, "GET", path, token=self.token)

    def post(self, path: str, body: object) -> Any:
        return call(self._url, "POST", path, body, self.token)

    def delete(self, path: str) -> Any:
        return call(self._url, "DELETE", path, token=self.token)


def call(url: str, method: str, path: str, body: object = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=data, headers=headers, method=method)  # noqa: S310  # ours
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:  # noqa: S310  # ours
            return json.loads(answer.read())
    except HTTPError as error:
        with error:
            said = error.read().decode()
        raise AssertionError(f"{method} {path}: {error.code} {said}") from error


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""
