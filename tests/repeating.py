"""Do something over and over beside a test, for as long as it looks at something else."""

from __future__ import annotations

import threading
from typing import Self


class Repeating(threading.Thread):
    """Repeat one thing in a thread of its own, inside a `with`.

    Args:
        pause: seconds between two times.
    """

    def __init__(self, pause: float) -> None:
        super().__init__(daemon=True)
        self._pause = pause
        self._enough = threading.Event()

    def once(self) -> None:
        """Do it."""
        raise NotImplementedError

    def run(self) -> None:
        while not self._enough.wait(self._pause):
            self.once()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()
