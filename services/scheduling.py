"""Have the kernel schedule an event loop as suits one that talks with its database and many clients.

A reader is woken by whoever writes to it, and Linux likes to wake it on the writer's core. Where a loop, its database
and its clients share few cores, they so follow one another from core to core, and wait for one while another is idle.

- A loop that asks its database all the time stays on its core, which gives the others a place beside it. One that asks
  nothing is best off wherever it is woken.
- A loop that is woken lets whoever runs there go on (SCHED_BATCH, sched(7)): more has come when it is its turn, and
  what is told to many goes out in fewer pieces.

Neither takes anything from others, and each thread of a process may do so by itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from services.background import beside

# Questions a second from which on a loop stays, and below which it is let go.
MANY = 20.0
FEW = 5.0
# A flood is over in seconds, so it is seen soon; whether it is over is looked at with more patience.
TICK_SECONDS = 0.1
TICKS_OF_A_LOOK = 10
# Every so many looks the scheduler may move it once more: somebody else may need this core for good.
LOOKS_ON_A_CORE = 10
FREE_SECONDS = 0.02
# Of the fields behind the name, the one that says where the thread ran last: proc_pid_stat(5), field 39.
_PROCESSOR = 36
_LEFT = "scheduling is left to the system"

logger = logging.getLogger(__name__)


@asynccontextmanager
async def tuned(asked: Callable[[], int], *, tick: float = TICK_SECONDS) -> AsyncIterator[None]:
    """Tune how the running loop's thread is scheduled, until the block ends.

    Does nothing where the system cannot, and lets it be where it is refused.

    Args:
        asked: returns how often the loop has asked its database so far.
        tick: how often is looked whether it asks much, in seconds.
    """
    async with AsyncExitStack() as until_end:
        if hasattr(os, "sched_setscheduler") and _push_nobody():
            until_end.callback(os.sched_setscheduler, 0, os.SCHED_OTHER, os.sched_param(0))
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
        if len(cores) > 1:
            await until_end.enter_async_context(beside(_keep(cores, asked, tick)))
        yield


def _push_nobody() -> bool:
    """Wake up from now on without pushing others off the core, and return whether that is a change."""
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        # Somebody decided otherwise: chrt(1), or a unit file.
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError as error:
        logger.info(_LEFT, extra={"fields": {"reason": str(error)}})
        return False
    return True


async def _keep(allowed: set[int], asked: Callable[[], int], tick: float) -> None:
    try:
        while True:
            while await _rate(asked, tick) < MANY:
                pass
            await _stay(allowed, asked, tick)
            os.sched_setaffinity(0, allowed)
    except OSError as error:
        # A sandbox may forbid it, and a cpuset may be changed under us: it is an advantage, and no need.
        logger.info(_LEFT, extra={"fields": {"reason": str(error)}})
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, allowed)


async def _stay(allowed: set[int], asked: Callable[[], int], tick: float) -> None:
    """Stay until little is asked; whoever calls lets go of the core then."""
    while True:
        os.sched_setaffinity(0, {_core()})
        for _ in range(LOOKS_ON_A_CORE):
            if await _rate(asked, tick * TICKS_OF_A_LOOK) < FEW:
                return
        os.sched_setaffinity(0, allowed)
        await asyncio.sleep(min(FREE_SECONDS, tick))


async def _rate(asked: Callable[[], int], seconds: float) -> float:
    """Return how often is asked in a second, by what the next so many have."""
    began, before = time.monotonic(), asked()
    await asyncio.sleep(seconds)
    return (asked() - before) / (time.monotonic() - began)


def _core() -> int:
    """Return the core that this thread runs on."""
    return int(Path("/proc/thread-self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[_PROCESSOR])
