"""Be one process of the load generator: connect a share of the clients, send their messages, count what comes.

It reads a load and its own number from standard input, answers with one line of JSON when all are in, waits for a
line with the moment to begin (or an empty one: there is nothing to send), answers with what it counted, and ends.
Before that moment it may be told that the server goes away ("away"), and where it is again (a list of addresses).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import picows
import uvloop

from bench.chat.client import Client, Counts, now
from bench.chat.machine import raise_file_limit
from bench.chat.plan import Load, decode_load
from bench.chat.wires import RefusedError, make_wire

AWAY = "away"
# After a failure, as phoenix.js waits before it connects again.
STEPS = (0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0)
# After the last delivery there is time for one that should not be.
SETTLE_SECONDS = 0.3
# Waits are told in steps of this many nanoseconds.
STEP = 10_000


class Worker:
    """Run one share of a load.

    Args:
        load: the whole.
        number: which share.
    """

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._number = number
        # One for all clients, however long.
        self._padding = "x" * load.padding
        self._counts = Counts()
        self._clients: dict[tuple[int, int], Client] = {}
        self._queue: Iterator[tuple[int, int, int, int]] = iter(())
        self._sent = 0
        self._first = 0
        self._urls = load.urls
        self._again = 0

    async def run(self) -> None:
        """Go through the stages."""
        # Many sockets take a while to open, and the first must not be idle for too long.
        beating = asyncio.create_task(self._beat())
        _tell(await self._connect(max(1, self._load.connecting // self._load.workers), tries=1))
        while not (begin := await _ask()).isdigit() and begin:
            _tell(self._let_go() if begin == AWAY else await self._come_back(json.loads(begin)))
        _tell(await self._send_all(int(begin)) if begin else self._report(0.0))
        beating.cancel()
        for client in self._clients.values():
            client.leave()
        await asyncio.sleep(SETTLE_SECONDS)

    def _let_go(self) -> dict[str, Any]:
        for client in self._clients.values():
            client.is_leaving = True
        return {}

    async def _come_back(self, urls: list[str]) -> dict[str, Any]:
        self._urls = tuple(urls)
        self._clients = {}
        # All at once, and who fails tries again.
        places = len(list(self._load.clients_of(self._number)))
        return await self._connect(places, tries=len(STEPS)) | {"again": self._again}

    async def _connect(self, at_once: int, tries: int) -> dict[str, Any]:
        gate = asyncio.Semaphore(at_once)
        started = now()
        places = list(self._load.clients_of(self._number))
        admitted = (self._admit(gate, *place, tries=tries) for place in places)
        results = await asyncio.gather(*admitted, return_exceptions=True)
        failures = [repr(result) for result in results if isinstance(result, BaseException)]
        return {
            "started": started,
            "ended": now(),
            "joined": len(self._clients),
            "failed": len(failures),
            "why": failures[:3],
        }

    async def _admit(self, gate: asyncio.Semaphore, room: int, place: int, tries: int) -> None:
        load, steps = self._load, iter(STEPS[: tries - 1])
        while True:
            client = self._make_client(room, place)
            try:
                async with gate:
                    await client.connect(self._urls[place % len(self._urls)], load.rooms[room].tokens[place])
            except (RefusedError, picows.WSError, OSError):
                client.leave()
                step = next(steps, None)
                if step is None:
                    raise
                self._again += 1
                await asyncio.sleep(step)
            else:
                self._clients[room, place] = client
                return

    def _make_client(self, room: int, place: int) -> Client:
        load = self._load
        return Client(
            make_wire(load.wire, load.event),
            room=room,
            topic=load.rooms[room].topic,
            said=load.said_in(room),
            padding=self._padding,
            counts=self._counts,
            on_own=self._answered,
            is_own=partial(_is_own, load.senders or load.room_size, place),
        )

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._load.beat_seconds)
            for number, client in enumerate(list(self._clients.values())):
                client.beat()
                if number % 100 == 0:
                    await asyncio.sleep(0)

    async def _send_all(self, begin: int) -> dict[str, Any]:
        load = self._load
        self._queue = iter(list(load.messages_of(self._number)))
        await asyncio.sleep(max(0.0, (begin - now()) / 1e9))
        cpu = time.process_time()
        if load.rate:
            await self._send_by_clock(begin)
        else:
            for _ in range(load.window):
                self._send_next()
        await self._wait_for_all(begin)
        cpu = time.process_time() - cpu
        await asyncio.sleep(SETTLE_SECONDS)
        return self._report(cpu)

    async def _send_by_clock(self, begin: int) -> None:
        for number, room, sequence, sender in self._queue:
            due = begin + int(number / self._load.rate * 1e9)
            if (pause := (due - now()) / 1e9) > 0:
                await asyncio.sleep(pause)
            if now() > begin + self._load.most_seconds * 1e9:
                return
            self._say(room, sequence, sender)

    async def _wait_for_all(self, begin: int) -> None:
        load, counts = self._load, self._counts
        quiet, seen = now(), counts.delivered
        while counts.delivered < self._expected:
            await asyncio.sleep(0.02)
            if counts.delivered != seen:
                quiet, seen = now(), counts.delivered
            if now() - quiet > load.quiet_seconds * 1e9 or now() - begin > load.most_seconds * 1e9:
                return

    @property
    def _expected(self) -> int:
        return sum(self._load.said_in(room) for room, _ in self._clients)

    def _answered(self) -> None:
        if not self._load.rate:
            self._send_next()

    def _send_next(self) -> None:
        following = next(self._queue, None)
        if following is not None:
            self._say(*following[1:])

    def _say(self, room: int, sequence: int, sender: int) -> None:
        self._first = self._first or now()
        self._sent += 1
        self._clients[room, sender].say(sequence)

    def _report(self, cpu: float) -> dict[str, Any]:
        counts = self._counts
        return {
            "sent": self._sent,
            "expected": self._expected,
            "delivered": counts.delivered,
            "twice": counts.twice,
            "astray": counts.astray,
            "failed": counts.failed,
            "dropped": counts.dropped,
            "why": counts.why,
            "first": self._first,
            "last": counts.last,
            "cpu": cpu,
            "waits": sorted(Counter(wait // STEP for wait in counts.waits).items()),
        }


def _is_own(size: int, place: int, sequence: int) -> bool:
    return sequence % size == place


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def _ask() -> str:
    line: str = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return line.strip()


def main() -> None:
    """Run one worker."""
    raise_file_limit()
    load, number = decode_load(sys.stdin.readline()), int(sys.stdin.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Worker(load, number).run())


if __name__ == "__main__":
    main()
