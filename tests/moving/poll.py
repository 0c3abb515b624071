"""Ask without a pause while something is replaced."""

from __future__ import annotations

import threading
from typing import Self

from deployer.ready import fetch_status


class Poll(threading.Thread):
    """Ask a route over and over, on a connection of its own each time, and keep whatever is not 200."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.asked = 0
        self.lost: list[int | str] = []
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(0.02):
            status = fetch_status(self.url, timeout=10)
            self.asked += 1
            if status != 200:
                self.lost.append(status)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()
