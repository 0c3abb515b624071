"""Ask how the costs of sockets, joins, messages and deliveries grow with rooms, with replicas and under stress."""

from __future__ import annotations

import asyncio
import threading
import time

from bench.chat.ground import Ground, Row, chat_cost, message_figures
from bench.chat.load import Interruption, Outcome, run_load
from bench.chat.machine import listen_drops
from bench.chat.plan import Load, Room
from bench.chat.stack import Stack

# Sockets of the one room, messages in all, messages a second: at most 20,000 deliveries a second.
ROOMS = ((10, 1200, 200), (100, 800, 100), (1000, 160, 20), (10_000, 16, 2))
MOST_REPLICAS = 4
ROOM = 20
SECONDS_OF_BEATS = 8.0
# What floods says so much a second; the default limit of a socket is 200.
FLOOD_RATE = 5000
FLOOD_SECONDS = 11
# Until the flood's own people are in and it has begun.
FLOOD_LEAD_SECONDS = 3.0


def measure_rooms(ground: Ground) -> list[Row]:
    """Ask what a message costs in rooms of any size."""
    rows = []
    with ground.stack() as stack:
        for size, messages, rate in ROOMS:
            listeners = ground.of(size, least=10)
            rooms = asyncio.run(stack.make_rooms(1, listeners))
            load = Load(
                "phoenix", stack.urls, rooms, messages=ground.of(messages, least=16), rate=rate, workers=_workers(size)
            )
            outcome = run_load(load, python=ground.python, servers=stack.servers)
            figures = {
                "joins/s": outcome.joins_per_second,
                "chat us/join": outcome.join_microseconds["chat"],
                "postgres us/join": outcome.join_microseconds["postgres"],
                **message_figures(outcome, listeners),
            }
            rows.append(_row(f"one room of {listeners:,}", figures, outcome))
            time.sleep(1)
    return rows


def measure_replicas(ground: Ground) -> list[Row]:
    """Ask what a bus costs, and what each replica more."""
    rows = []
    sides = [("local", 1), *((bus, count) for bus in ("postgres", "nats") for count in range(1, MOST_REPLICAS + 1))]
    for bus, replicas in sides:
        with ground.stack(bus, replicas) as stack:
            rooms = asyncio.run(stack.make_rooms(ground.of(50), ROOM))
            load = Load("phoenix", stack.urls, rooms, messages=ground.of(3000), rate=500)
            outcome = run_load(load, python=ground.python, servers=stack.servers)
        figures = message_figures(outcome, ROOM) | {"nats us/message": outcome.microseconds.get("nats", 0.0)}
        rows.append(_row(f"{replicas} x, bus {bus}", figures, outcome))
    return rows


def measure_elsewhere(ground: Ground) -> list[Row]:
    """Ask what a replica pays for what goes on at another one alone."""
    rows = []
    for bus in ("postgres", "nats"):
        with ground.stack(bus, 2) as stack:
            for rate, messages in ((200, 1000), (2000, 6000)):
                rooms = asyncio.run(stack.make_rooms(ground.of(200), ROOM))
                load = Load("phoenix", stack.urls[:1], rooms, messages=ground.of(messages), rate=rate)
                # The one whose memory is read is the first.
                servers = {"chat-2": stack.servers["chat-2"], **stack.servers}
                outcome = run_load(load, python=ground.python, servers=servers)
                rows.append(_row(f"all at one of 2, bus {bus}", _elsewhere(outcome), outcome))
                time.sleep(1)
    return rows


def _elsewhere(outcome: Outcome) -> dict[str, float | str]:
    return {
        "sockets": outcome.clients,
        "KiB/socket elsewhere": outcome.kib_per_socket,
        "us/join: its own": outcome.join_microseconds["chat"],
        "us/join: elsewhere": outcome.join_microseconds["chat-2"],
        "messages/s": outcome.messages_per_second,
        "us/message: its own": outcome.microseconds["chat"],
        "us/message: elsewhere": outcome.microseconds["chat-2"],
        "lost": outcome.expected - outcome.delivered,
        "other cores": outcome.cores["other"],
    }


def measure_storm(ground: Ground) -> list[Row]:
    """Ask how long all take to come back to a process that was restarted, each at once."""
    with ground.stack() as stack:
        rooms = asyncio.run(stack.make_rooms(ground.of(500), ROOM))
        load = Load("phoenix", stack.urls, rooms, messages=ground.of(1000), rate=200, workers=2)
        interruption = Interruption(stack.stop_chat, stack.start_chat)
        dropped = listen_drops()
        outcome = run_load(load, python=ground.python, servers=stack.servers, hold=2, interruption=interruption)
        dropped, cut = listen_drops() - dropped, stack.count("stampchat_connections_cut_total")
    back = outcome.back
    figures: dict[str, float | str] = {
        "sockets": back["clients"],
        "first joins/s": outcome.joins_per_second,
        "KiB/socket": outcome.kib_per_socket,
        "stopped in s": back["stop_seconds"],
        "started in s": back["start_seconds"],
        "all back in s": back["seconds"],
        "joins/s": round(back["clients"] / back["seconds"]),
        "tries again": back["again"],
        "cut": cut,
        "dropped by the kernel": dropped,
        "chat us/join": back["join_microseconds"]["chat"],
        "postgres us/join": back["join_microseconds"]["postgres"],
        "lost": outcome.expected - outcome.delivered,
    }
    return [_row("restarted with all in", figures, outcome)]


def measure_flood(ground: Ground) -> list[Row]:
    """Ask whether a room is heard as quickly beside one that is flooded by one of its people."""
    rows = []
    for what, is_flooded, is_limited in (
        ("alone, limits on", False, True),
        ("beside the flood, limits on", True, True),
        ("beside the flood, limits of events raised to 5,000 a second", True, False),
    ):
        with ground.stack(is_limited=is_limited) as stack:
            beside, room = asyncio.run(stack.make_rooms(2, ROOM))
            flood = _Flood(ground, stack, beside)
            if is_flooded:
                flood.start()
                time.sleep(FLOOD_LEAD_SECONDS)
            load = Load("phoenix", stack.urls, (room,), messages=ground.of(300, least=20), rate=50)
            outcome = run_load(load, python=ground.python, servers=stack.servers)
            flooded = flood.finish() if is_flooded else 0.0
        figures: dict[str, float | str] = {
            "p50 ms": outcome.p50,
            "p99 ms": outcome.p99,
            "lost": outcome.expected - outcome.delivered,
            "the flood's messages told a second": flooded,
            "cores: chat": outcome.cores["chat"],
            "cores: postgres": outcome.cores["postgres"],
        }
        rows.append(_row(what, figures, outcome))
    return rows


class _Flood(threading.Thread):
    """Let one of a room's people say far more than is allowed."""

    def __init__(self, ground: Ground, stack: Stack, room: Room) -> None:
        # It must not outlive whoever waits for it.
        super().__init__(daemon=True)
        self._ground = ground
        self._servers = stack.servers
        self._load = Load(
            "phoenix",
            stack.urls,
            (room,),
            messages=FLOOD_RATE * FLOOD_SECONDS,
            rate=FLOOD_RATE,
            senders=1,
            # What the service will not read does not come.
            quiet_seconds=1,
            most_seconds=FLOOD_SECONDS,
        )
        self._told = 0.0

    def run(self) -> None:
        outcome = run_load(self._load, python=self._ground.python, servers=self._servers)
        self._told = outcome.deliveries_per_second / ROOM

    def finish(self) -> float:
        """Wait for its end; return the messages a second that its room was told."""
        self.join()
        return round(self._told)


def measure_idle(ground: Ground) -> list[Row]:
    """Ask what an open socket costs that says nothing but that it lives."""
    rows: list[Row] = []
    with ground.stack() as stack:
        for beat in (1000.0, 1.0):
            rooms = asyncio.run(stack.make_rooms(ground.of(100), ROOM))
            stack.restart()
            load = Load("phoenix", stack.urls, rooms, beat_seconds=beat)
            outcome = run_load(load, python=ground.python, servers=stack.servers, hold=SECONDS_OF_BEATS)
            cores = chat_cost(outcome.idle_cores)
            beats = outcome.clients / beat
            figures: dict[str, float | str] = {
                "sockets": outcome.clients,
                "heartbeats/s": round(beats),
                "chat cores": cores,
                "us/heartbeat": round((cores - rows[0].raw["idle_cores"]["chat"]) / beats * 1e6, 1) if rows else "",
                "KiB/socket": outcome.kib_per_socket,
            }
            rows.append(_row(f"a heartbeat every {beat:,.0f} s", figures, outcome))
            time.sleep(1)
    return rows


def _workers(sockets: int) -> int:
    return 2 if sockets > 1000 else 1  # noqa: PLR2004  # one generator takes what a thousand are told


def _row(what: str, figures: dict[str, float | str], outcome: Outcome) -> Row:
    return Row(what, figures, outcome.is_clean, outcome.as_json())
