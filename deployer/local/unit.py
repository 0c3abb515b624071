"""Keep one program running: again after a crash, anew after a change, gone at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from deployer.local.console import Console, last_words
from deployer.local.process import Child, Program, describe, start

# Seconds between a crash and the next start: the first, and the most.
_FIRST_PAUSE = 0.5
_MOST_PAUSE = 10.0
# Whoever lived this long crashed for a new reason.
_STEADY = 10.0

Prepare = Callable[[], Awaitable[str]]


class Unit:
    """Supervise one program.

    Args:
        program: what to run.
        console: where it is shown.
        prepare: runs before each start; returns why there can be none, or nothing.
        patience: how long it may take to end before it is killed.
    """

    def __init__(self, program: Program, console: Console, *, prepare: Prepare, patience: float) -> None:
        self.name = program.name
        self.crashes = 0
        self.said = ""
        self._program = program
        self._console = console
        self._prepare = prepare
        self._patience = patience
        self._child: Child | None = None
        self._ending = asyncio.Event()
        self._prepared = False
        self._reloading = False
        self._wake = asyncio.Event()
        self._gone = asyncio.Event()
        self._told = ""

    async def keep(self) -> None:
        """Run it until stop() is called."""
        pause = _FIRST_PAUSE
        while True:
            started = time.monotonic()
            trouble = await self._live()
            if self._ending.is_set():
                return
            if self._reloading:
                self._reloading, pause = False, _FIRST_PAUSE
                continue
            if time.monotonic() - started > _STEADY:
                pause = _FIRST_PAUSE
            self._tell_crash(trouble, pause)
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            pause = min(pause * 2, _MOST_PAUSE)

    async def reload(self) -> bool:
        """Start it anew from changed sources; when they will not do, what runs goes on.

        Returns:
            Whether a new one starts.
        """
        if trouble := await self._prepare():
            state = "what ran goes on" if self._child else "it waits for the next change"
            self._console.tell(f"{self.name}: the change does not start: {trouble}; {state}", level="error")
            return False
        self._prepared, self._told = True, ""
        if self._child:
            self._reloading = True
            await self._end(self._child)
        else:
            self._wake.set()
        return True

    async def stop(self) -> None:
        """End it in good order, and for good."""
        self._ending.set()
        self._wake.set()
        if self._child:
            await self._end(self._child)

    def kill(self) -> None:
        """End it at once."""
        self._ending.set()
        self._wake.set()
        if self._child:
            self._child.kill()

    async def _live(self) -> str:
        """Run it once, and return how it ended."""
        self.said = ""
        if self._ending.is_set():
            return ""
        try:
            if not self._prepared and (trouble := await self._prepare()):
                return trouble
            self._prepared = False
            if self._ending.is_set():
                return ""
            child = await start(self._program, self._hear)
        except OSError as error:
            return f"it cannot be started: {error.strerror or error}"
        self._child = child
        self._gone.clear()
        try:
            status = await child.wait()
        finally:
            child.kill()
            self._child = None
            self._gone.set()
        return describe(status) + (f"; its last words: {self.said}" if self.said else "")

    async def _end(self, child: Child) -> None:
        child.send(self._program.stop)
        try:
            await asyncio.wait_for(self._gone.wait(), self._patience)
        except TimeoutError:
            self._console.tell(f"{self.name} did not end within {self._patience:.0f} s and is killed", level="warning")
            child.kill()
            await self._gone.wait()

    def _hear(self, text: str) -> None:
        self.said = last_words(text) or self.said
        self._console.line(self.name, text)

    def _tell_crash(self, trouble: str, pause: float) -> None:
        self.crashes += 1
        if trouble == self._told:
            # The same again and again says nothing new.
            return
        self._told = trouble
        self._console.tell(f"{self.name} {trouble}; again in {pause:g} s", level="error")
