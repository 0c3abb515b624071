"""Know whether this process can do its work: health as data, one named check a resource."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

CHECK_SECONDS = 3.0

Check = Callable[[], Awaitable[object]]


class Health:
    """Collect the checks that readiness runs; liveness runs none.

    Attributes:
        draining: set at SIGTERM, so that nothing new is sent here.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self.draining = False

    def register(self, name: str, check: Check) -> None:
        """Add a check; it fails by raising."""
        self._checks[name] = check

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Run all checks at once; return whether all is well, and a word for each."""
        words = await asyncio.gather(*(self._run(check) for check in self._checks.values()))
        report = dict(zip(self._checks, words, strict=True))
        if self.draining:
            report["draining"] = "this process is stopping"
        return all(word == "ok" for word in report.values()), report

    @staticmethod
    async def _run(check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check()
        except Exception as error:  # noqa: BLE001  # whatever a check raises is its answer
            return f"failing: {error}" if str(error) else f"failing: {type(error).__name__}"
        return "ok"
