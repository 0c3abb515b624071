"""Time what a user waits for: `up` cold, warm and with nothing to change, a preview, and one changed line served.

It works in a clone of its own, so that the checkout stays as it is, and takes everything away at the end:

    .venv/bin/python bench/up.py            with the shared cache as it is
    .venv/bin/python bench/up.py --cold     with an empty cache and an empty HOME, as on a new machine
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHORTEST_SHOWN = 0.05  # seconds; a quicker step says nothing
CHANGED_FILE = "services/auth/routes.py"
OLD, NEW = "auth ok", "auth is ok"


@dataclass
class Row:
    """One measured wait: its name, its seconds and how they divide over the steps."""

    name: str
    seconds: float
    steps: dict[str, float] = field(default_factory=dict)


class Clone:
    """A clone of the checkout that measures its own commands.

    Args:
        folder: an empty folder.
        cold: whether HOME and the cache start empty too.
    """

    def __init__(self, folder: Path, *, cold: bool) -> None:
        self.root = folder / "clone"
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith("STAMPCHAT_")}
        if cold:
            (folder / "home").mkdir()
            self.environ["HOME"] = str(folder / "home")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.root)], check=True)

    def run(self, *words: str) -> str:
        """Run one of our commands and return what it printed.

        Raises:
            subprocess.CalledProcessError: it failed; its progress is on the standard error.
        """
        command = ["./stampchat", *words]
        return subprocess.run(
            command, cwd=self.root, env=self.environ, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def timed(self, name: str, *words: str) -> tuple[Row, Any]:
        """Time one of our commands that prints JSON."""
        started = time.monotonic()
        answer = json.loads(self.run(*words) or "{}")
        steps = {step["step"]: step["seconds"] for step in answer.get("steps", [])} if isinstance(answer, dict) else {}
        return Row(name, time.monotonic() - started, steps), answer


class Watch(threading.Thread):
    """Ask one route over and over: when did the new answer first come, and how many requests failed?

    Args:
        url: what to ask, at most fifty times a second.
        awaited: the text that the new version answers with.
    """

    def __init__(self, url: str, awaited: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.awaited = awaited
        self.first_seen: float | None = None
        self.asked = 0
        self.failed = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Ask until told to stop."""
        while not self.stopped.wait(0.02):
            self.asked += 1
            try:
                with urllib.request.urlopen(self.url, timeout=10) as answer:  # noqa: S310  # our own http URL on loopback
                    seen = self.awaited in answer.read().decode()
            except (urllib.error.URLError, OSError):
                self.failed += 1
                continue
            if seen and self.first_seen is None:
                self.first_seen = time.monotonic()


def measure_change(clone: Clone, url: str) -> tuple[Row, Watch]:
    """Change one line of a service and time it until the gateway serves the new line."""
    source = clone.root / CHANGED_FILE
    text = source.read_text(encoding="utf-8")
    source.write_text(text.replace(OLD, NEW), encoding="utf-8")
    watch = Watch(f"{url}/auth/test", NEW)
    watch.start()
    started = time.monotonic()
    row, _ = clone.timed("one changed line, until `up` returns", "up", "--json")
    watch.stopped.set()
    watch.join()
    served = (watch.first_seen or float("nan")) - started
    row.steps = {"served after": served, **row.steps}
    return row, watch


def measure(clone: Clone, *, cold: bool) -> list[Row]:
    """Go through the journey once."""
    first, answer = clone.timed("`up`, empty cache" if cold else "`up`, cached, a new cluster", "up", "--json")
    rows = [first]
    rows.append(clone.timed("`up`, nothing to change", "up", "--json")[0])
    started = time.monotonic()
    clone.run("preview")
    rows.append(Row("`preview`, nothing to change", time.monotonic() - started))
    started = time.monotonic()
    clone.run("smoke")
    rows.append(Row("`smoke`", time.monotonic() - started))
    row, watch = measure_change(clone, answer["url"])
    rows.append(row)
    print(f"During the rolling update {watch.asked} requests were asked and {watch.failed} failed.")
    clone.run("cluster", "down")
    rows.append(clone.timed("`up` after `cluster down`, data kept", "up", "--json")[0])
    started = time.monotonic()
    clone.run("destroy", "--yes")
    rows.append(Row("`destroy`", time.monotonic() - started))
    return rows


def show(rows: list[Row]) -> None:
    """Print the rows as a table in Markdown."""
    print("\n| what | seconds | by step |\n| --- | --- | --- |")
    for row in rows:
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in row.steps.items() if seconds >= SHORTEST_SHOWN)
        print(f"| {row.name} | {row.seconds:.1f} | {parts} |")


def main() -> None:
    """Run the journey in a clone and take the clone away."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", action="store_true", help="start from an empty cache and an empty HOME")
    cold = parser.parse_args().cold
    folder = Path(tempfile.mkdtemp(prefix="stampchat-bench-"))
    clone = Clone(folder, cold=cold)
    try:
        show(measure(clone, cold=cold))
    finally:
        clone.run("cluster", "down", "--purge", "--yes")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
