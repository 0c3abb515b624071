"""Show a deployment live until `q` or Ctrl-C, and leave the terminal as it was."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.top_view import View

if TYPE_CHECKING:
    from deployer.top import Picture, Watch

# How soon a key is noticed and a terminal's new size is used.
PAUSE = 0.25
# Of the small curve.
POINTS = 20
END = frozenset("qQ\x04")
HINT = "q ends"


class Looking:
    """Look again and again beside the display, which never waits for a pod.

    Args:
        watch: what looks.
        interval: seconds from one look to the next.
    """

    def __init__(self, watch: Watch, interval: float) -> None:
        self._watch = watch
        self._interval = interval
        self._ended = threading.Event()
        self._history: deque[float] = deque(maxlen=POINTS)
        self._picture: Picture | None = None
        self._note = "Looking …"
        self._failure: Exception | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def view(self) -> View:
        """Return what is known now.

        Raises:
            Exception: what ended the looking, which is a fault of our own.
        """
        if self._failure is not None:
            raise self._failure
        return View(self._picture, history=tuple(self._history), note=self._note, hint=HINT)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _run(self) -> None:
        from deployer.errors import DeployError

        while not self._ended.is_set():
            started = time.monotonic()
            try:
                self._picture = self._watch.look()
                self._note = "" if self._picture.rows else "There are no pods; ./stampchat up deploys."
                messages = self._picture.totals["messages_per_second"]
                # The first look has no rates.
                self._history.extend([] if messages is None else [messages])
            except DeployError as error:
                said = f" ({' '.join(error.said.split())})" if error.said else ""
                self._note = f"{error.what.rstrip('.')}{said}; trying again."
            except Exception as error:  # noqa: BLE001  # told where all of our faults are
                self._failure = error
                return
            self._ended.wait(max(0.0, self._interval - (time.monotonic() - started)))


def watch_live(watch: Watch, interval: float) -> None:
    """Show a deployment until a key ends it.

    Args:
        watch: what looks.
        interval: seconds between two looks.
    """
    from rich.console import Console
    from rich.live import Live

    looking = Looking(watch, interval)
    try:
        with (
            keyboard() as pressed,
            Live(looking.view(), console=Console(highlight=False), screen=True, auto_refresh=False) as live,
        ):
            while not END.intersection(pressed(PAUSE)):
                live.update(looking.view(), refresh=True)
    finally:
        looking.end()


@contextmanager
def keyboard() -> Iterator[Callable[[float], str]]:
    """Hand out a function that waits so many seconds for keys and returns them, unseen on the terminal.

    Where nobody can type, it waits.
    """
    if not sys.stdin.isatty():
        yield _sleep
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed(seconds: float) -> str:
        if not select.select([descriptor], [], [], seconds)[0]:
            return ""
        # A terminal that is gone reads as the end.
        return os.read(descriptor, 64).decode(errors="replace") or "q"

    try:
        tty.setcbreak(descriptor)
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""
