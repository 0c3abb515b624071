"""Find what the machine itself allows: a bare loop of send() of the same bytes to as many sockets, and nothing else."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

# As in the measures of fan-out: five rooms of twenty, and a frame of a whisper.
SOCKETS = 100
FRAME_BYTES = 128
DELIVERIES = 300_000
# What a write holds: one frame, and what a turn of the loop gathers under load.
GATHERED = (1, 3, 6)
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Limit:
    """Say how far send() alone goes.

    Attributes:
        gathered: frames in one write.
        per_cpu_second: deliveries for each second of CPU that the sender used.
    """

    gathered: int
    per_cpu_second: float


def measure_limits() -> list[Limit]:
    """Send to a process that reads and forgets."""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        port = listener.getsockname()[1]
        with subprocess.Popen([sys.executable, "-m", "bench.chat.limit", str(port)]) as reader:
            sockets = [listener.accept()[0] for _ in range(SOCKETS)]
            try:
                return [_measure(sockets, gathered) for gathered in GATHERED]
            finally:
                for each in sockets:
                    each.close()
                reader.wait(30)


def describe_limits(limits: list[Limit]) -> str:
    """Say it in a sentence."""
    told = ", ".join(f"{limit.per_cpu_second / 1000:,.0f} k with {limit.gathered} a write" for limit in limits)
    return (
        f"A bare loop of send() in Python of {FRAME_BYTES} bytes a delivery to {SOCKETS} sockets, "
        f"in deliveries a second of its own CPU: {told}."
    )


def _measure(sockets: list[socket.socket], gathered: int) -> Limit:
    data, rounds = b"x" * (FRAME_BYTES * gathered), DELIVERIES // gathered // len(sockets)
    started = time.process_time()
    for _ in range(rounds):
        for each in sockets:
            each.sendall(data)
    used = time.process_time() - started
    return Limit(gathered, rounds * len(sockets) * gathered / used)


def _read_all(port: int) -> None:
    """Be the other end."""
    with selectors.DefaultSelector() as selector:
        for _ in range(SOCKETS):
            selector.register(socket.create_connection(("127.0.0.1", port)), selectors.EVENT_READ)
        buffer = bytearray(_READ_BYTES)
        while selector.get_map():
            for key, _ in selector.select():
                connection = key.fileobj
                assert isinstance(connection, socket.socket)  # noqa: S101  # registered above
                if not connection.recv_into(buffer):
                    selector.unregister(connection)
                    connection.close()


if __name__ == "__main__":
    _read_all(int(sys.argv[1]))
