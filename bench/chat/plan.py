"""Say what a load is made of; the generator's workers read it from their standard input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

MAX_CLIENTS = 10_000
MAX_MESSAGES = 1_000_000

Wire = Literal["phoenix", "centrifuge"]


@dataclass(frozen=True)
class Room:
    """Name a room and the people in it.

    Attributes:
        topic: as the wire has it.
        tokens: one for each client; "" where nobody asks.
    """

    topic: str
    tokens: tuple[str, ...]


@dataclass(frozen=True)
class Load:
    """Describe one run of the generator.

    Attributes:
        wire: the protocol that the server speaks.
        urls: of its websocket, one of each replica; a room's clients are spread over them; {token} is filled in.
        rooms: all of the same size.
        messages: in all; round-robin over rooms, then over the clients of each.
        event: what is sent and counted, on the Phoenix wire.
        rate: messages a second in all, whatever comes back (open loop); 0 sends the next when one is back.
        window: messages in flight of each worker where there is no rate.
        workers: processes that share the clients.
        connecting: connects and joins in flight, over all workers.
        quiet_seconds: after so long without a delivery what is missing is lost.
        most_seconds: the longest that sending and receiving may take.
        senders: clients of each room that say something, the first ones; 0 for all of them.
        beat_seconds: between two heartbeats of a client.
        padding: characters of a body besides its mark; a line of chat has about so many.
    """

    wire: Wire
    urls: tuple[str, ...]
    rooms: tuple[Room, ...]
    messages: int = 0
    event: str = "shout"
    rate: float = 0.0
    window: int = 32
    workers: int = 1
    connecting: int = 50
    quiet_seconds: float = 5.0
    most_seconds: float = 90.0
    senders: int = 0
    beat_seconds: float = 25.0
    padding: int = 40

    def __post_init__(self) -> None:
        if not all("://127.0.0.1:" in url for url in self.urls):
            raise ValueError("only this machine may be loaded")
        if self.clients > MAX_CLIENTS or self.messages > MAX_MESSAGES:
            raise ValueError(f"at most {MAX_CLIENTS} clients and {MAX_MESSAGES} messages")

    @property
    def room_size(self) -> int:
        """The number of clients in each room."""
        return len(self.rooms[0].tokens)

    @property
    def clients(self) -> int:
        """The number of clients in all."""
        return len(self.rooms) * self.room_size

    def said_in(self, room: int) -> int:
        """Return how many messages a room gets."""
        return len(range(room, self.messages, len(self.rooms)))

    def clients_of(self, worker: int) -> Iterator[tuple[int, int]]:
        """Give a worker's clients as (room, place in the room)."""
        for number in range(worker, self.clients, self.workers):
            yield divmod(number, self.room_size)

    def messages_of(self, worker: int) -> Iterator[tuple[int, int, int, int]]:
        """Give the messages whose senders are a worker's clients: (number, room, sequence in the room, sender)."""
        for number in range(self.messages):
            sequence, room = divmod(number, len(self.rooms))
            sender = sequence % (self.senders or self.room_size)
            if (room * self.room_size + sender) % self.workers == worker:
                yield number, room, sequence, sender

    def encode(self) -> str:
        """Write it as one line."""
        return json.dumps(asdict(self))


def decode_load(line: str) -> Load:
    """Read what Load.encode wrote."""
    fields = json.loads(line)
    rooms = tuple(Room(room["topic"], tuple(room["tokens"])) for room in fields.pop("rooms"))
    return Load(rooms=rooms, urls=tuple(fields.pop("urls")), **fields)
