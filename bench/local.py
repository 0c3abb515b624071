"""Time what somebody who works on a service waits for: `local` from nothing, its later starts, a saved change, Ctrl-C.

It works in a copy of the checkout with a cache and a HOME of its own, and takes both away at the end:

    .venv/bin/python bench/local.py
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("cli", "deployer", "infra", "services", "web", "stampchat", "requirements-local.lock", "requirements-dev.lock")
PORT = 8090
URL = f"http://127.0.0.1:{PORT}"
# All three answer, two of them through another.
PATHS = ("/auth/test-chat", "/notifications/test")
CHANGED_FILE = "services/auth/routes.py"
OLD, NEW = "auth ok", "auth is ok"
LIMIT = 600
WARM_STARTS = 3


class Checkout:
    """A copy of the checkout that knows no package yet.

    Args:
        folder: an empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.root.mkdir()
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, self.root / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, self.root)
        own = {key: value for key, value in os.environ.items() if not key.startswith("STAMPCHAT_")}
        self._environ = own | {"HOME": str(folder), "PIP_NO_CACHE_DIR": "1"}

    def start(self) -> tuple[subprocess.Popen[bytes], float]:
        """Start, and return the process and how long it took until all three services answered."""
        started = time.monotonic()
        with (self.root / "output").open("wb") as output:
            process = subprocess.Popen(
                [str(self.root / "stampchat"), "local", "--port", str(PORT)],
                env=self._environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait(lambda: all(ask(path) for path in PATHS), process)
        return process, time.monotonic() - started

    def change(self, process: subprocess.Popen[bytes]) -> float:
        """Save a changed line, and return how long it took until it was served."""
        source = self.root / CHANGED_FILE
        source.write_text(source.read_text(encoding="utf-8").replace(OLD, NEW), encoding="utf-8")
        started = time.monotonic()
        wait(lambda: NEW in ask("/auth/test"), process)
        return time.monotonic() - started


def ask(path: str) -> str:
    """Return what a path answers, or nothing."""
    try:
        with urllib.request.urlopen(URL + path, timeout=2) as answer:  # noqa: S310  # http on this machine
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def wait(fact: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Wait until something is so; a process that ends before makes it never so."""
    deadline = time.monotonic() + LIMIT
    while not fact():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"`local` did not serve; see what it said in {process.args!r}")
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> float:
    """Press Ctrl-C, and return how long it took until all had ended."""
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(LIMIT)
    return time.monotonic() - started


def tell(what: str, seconds: float) -> None:
    """Print a row; the load says what the figure is worth."""
    print(f"| {what} | {seconds:.1f} | {os.getloadavg()[0]:.1f} |")


def measure(folder: Path) -> None:
    """Print every row."""
    checkout = Checkout(folder)
    print("| what | seconds | load |\n| --- | --- | --- |")
    for what in ("nothing there, until it serves", "packages there, no data"):
        process, seconds = checkout.start()
        tell(what, seconds)
        stop(process)
        shutil.rmtree(checkout.root / ".stampchat")
    stop(checkout.start()[0])
    for _ in range(WARM_STARTS):
        process, seconds = checkout.start()
        tell("packages and data there", seconds)
        if _ < WARM_STARTS - 1:
            tell("Ctrl-C, until all has ended", stop(process))
    tell("a saved change, until it is served", checkout.change(process))
    tell("Ctrl-C, until all has ended", stop(process))


def main() -> int:
    """Measure in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="stampchat-bench-local-"))
    folder.chmod(0o755)
    try:
        measure(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
