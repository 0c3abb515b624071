"""Ask without a pause while something is replaced."""

from __future__ import annotations

from deployer.ready import fetch_status
from tests.repeating import Repeating


class Poll(Repeating):
    """Ask a route over and over, on a connection of its own each time, and keep whatever is not 200."""

    def __init__(self, url: str) -> None:
        super().__init__(pause=0.02)
        self.url = url
        self.asked = 0
        self.lost: list[int | str] = []

    def once(self) -> None:
        status = fetch_status(self.url, timeout=10)
        self.asked += 1
        if status != 200:
            self.lost.append(status)
