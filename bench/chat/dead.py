"""Ask what a room's readers pay for those in it who have stopped to read."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial

from bench.chat.ground import Ground, Row, message_figures
from bench.chat.load import run_load
from bench.chat.machine import raise_file_limit, resident_kib
from bench.chat.plan import Load, Room
from bench.chat.stack import Stack
from bench.chat.wires import PhoenixWire

SOCKETS = 10_000
# One in so many is dead.
SHARE = 10
# Characters of a body, of the 10,000 that it may have: few messages are more than a dead one may owe then.
PADDING = 9_000
# By default a mebibyte may be owed: whoever has not read 120 of them owes more, what the kernel holds apart.
UNTIL_NEARLY, PAST = 70, 80
DELIVERIES_PER_SECOND = 18_000
MOST_RATE = 50.0
# A segment of Ethernet: over loopback's own of 64 KiB the kernel would hold three megabytes of each before the process
# holds any; of these it is 73 KiB, as for a client that is far away.
SEGMENT = 1460
RECEIVED = 4096
BEAT_SECONDS = 20.0
SAMPLE_SECONDS = 0.1

_WIRE = PhoenixWire("shout")


def measure_dead(ground: Ground) -> list[Row]:
    """Ask what a message costs without and beside dead readers, while they are dropped, and when they are gone."""
    raise_file_limit()
    with ground.stack() as stack:
        (room,) = asyncio.run(stack.make_rooms(1, ground.of(SOCKETS)))
        dead = room.tokens[::SHARE]
        living = Room(room.topic, tuple(token for place, token in enumerate(room.tokens) if place % SHARE))
        rate = min(MOST_RATE, DELIVERIES_PER_SECOND / len(living.tokens))
        nearly = Load("phoenix", stack.urls, (living,), messages=UNTIL_NEARLY, rate=rate, workers=2, padding=PADDING)
        past = replace(nearly, messages=PAST)
        # Memory that large messages take is not to be laid to the dead.
        alone = _ask(ground, stack, nearly, "nobody dead", 0)
        with _dead_readers(stack.port, room.topic, dead):
            return [
                alone,
                _ask(ground, stack, nearly, f"beside {len(dead):,} dead, none dropped yet", 0),
                _ask(ground, stack, past, "while they are dropped", len(dead)),
                _ask(ground, stack, nearly, "when they are gone", len(dead)),
            ]


def _ask(ground: Ground, stack: Stack, load: Load, what: str, dropped: int) -> Row:
    """Let the living come in, speak and leave; so many of the dead are to be dropped by then."""
    chat = stack.servers["chat"]
    before, held = resident_kib(chat), [0]
    with _every(SAMPLE_SECONDS, lambda: held.append(resident_kib(chat))):
        outcome = run_load(load, python=ground.python, servers=stack.servers)
    counted = stack.count("stampchat_sockets_dropped_total")
    figures: dict[str, float | str] = {
        "living": outcome.clients,
        "said": outcome.sent,
        "dead dropped": counted,
        **message_figures(outcome, load.clients),
        "MiB, all in": _mebibytes(before + outcome.kib_per_socket * outcome.clients),
        "MiB, highest": _mebibytes(max(held)),
        "MiB, living gone": _mebibytes(resident_kib(chat)),
    }
    return Row(what, figures, outcome.is_clean and counted == dropped, outcome.as_json())


@contextmanager
def _dead_readers(port: int, topic: str, tokens: Sequence[str]) -> Iterator[None]:
    """Hold people in a room who never read again until the block ends, though their heartbeats go on."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in tokens]
        for connection, token in zip(sockets, tokens, strict=True):
            _join(connection, port, topic, token)
        # Nobody is to be closed for silence.
        opened.enter_context(_every(BEAT_SECONDS, partial(_beat, sockets)))
        yield


def _join(connection: socket.socket, port: int, topic: str, token: str) -> None:
    # Both are told to the other side when the connection is made.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
    connection.connect(("127.0.0.1", port))
    handshake = (
        f"GET /socket/websocket?token={token}&vsn=2.0.0 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    connection.sendall(handshake.encode())
    _read_until(connection, b"\r\n\r\n")
    connection.sendall(_frame(_WIRE.greet(topic)))
    _read_until(connection, b'"status":"ok"')


def _read_until(connection: socket.socket, end: bytes) -> None:
    read = b""
    while end not in read:
        piece = connection.recv(RECEIVED)
        if not piece:
            raise ConnectionError(f"a dead reader was not let in: {read[-200:]!r}")
        read += piece


def _beat(sockets: Sequence[socket.socket]) -> None:
    for connection in sockets:
        # Who was dropped learns of it here alone.
        with suppress(OSError):
            connection.send(_BEAT, socket.MSG_DONTWAIT)


def _frame(payload: bytes) -> bytes:
    """Mask a short text; a mask of zeros leaves it as it is."""
    return bytes((0x81, 0x80 | len(payload), 0, 0, 0, 0)) + payload


_BEAT = _frame(_WIRE.heartbeat(2))


@contextmanager
def _every(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again beside the block."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(seconds):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _mebibytes(kib: float) -> float:
    return round(kib / 1024, 1)
