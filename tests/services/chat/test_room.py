"""Tell rooms, encode once, and cut who left."""

from __future__ import annotations

import json

from services.chat.bus import Cut, Told
from services.chat.protocol import Version
from services.chat.room import Rooms


class Ear:
    """Be a listener that keeps what it hears."""

    def __init__(self, identity: str, version: Version = Version.V2) -> None:
        self.identity = identity
        self.version = version
        self.heard: list[bytes] = []
        self.cuts = 0
        self.muted: frozenset[int] = frozenset()
        self.is_joined = True

    def tell(self, told: Told, frame: bytes) -> None:
        """Keep it."""
        del told
        self.heard.append(frame)

    def cut(self) -> None:
        """Count it."""
        self.cuts += 1


def test_a_broadcast_is_encoded_once_a_serializer() -> None:
    """Hand the very same bytes to all that speak alike."""
    counts: list[int] = []
    rooms = Rooms(counts.append)
    ears = [Ear("a"), Ear("b"), Ear("c", Version.V1), Ear("d")]
    for ear in ears[:3]:
        rooms.enter("room:a", ear)
    rooms.enter("room:b", ears[3])

    rooms.deliver(Told("room:a", "shout", {"x": 1}))

    assert ears[0].heard[0] is ears[1].heard[0]
    assert json.loads(ears[0].heard[0][2:]) == [None, None, "room:a", "shout", {"x": 1}]
    assert json.loads(ears[2].heard[0][2:])["payload"] == {"x": 1}
    assert ears[3].heard == []
    assert counts == [3]


def test_a_cut_ends_one_persons_channels_in_one_room() -> None:
    """Let the others be, and the person's other rooms."""
    rooms = Rooms(lambda _: None)
    ada, ada_elsewhere, bob = Ear("ada"), Ear("ada"), Ear("bob")
    rooms.enter("room:a", ada)
    rooms.enter("room:a", bob)
    rooms.enter("room:b", ada_elsewhere)

    rooms.deliver(Cut("room:a", "ada"))
    rooms.deliver(Told("room:a", "shout", {}))

    assert (ada.cuts, bob.cuts, ada_elsewhere.cuts) == (1, 0, 0)
    assert (len(ada.heard), len(bob.heard)) == (0, 1)


def test_an_empty_room_is_forgotten() -> None:
    """Hold nothing for rooms in which nobody is."""
    rooms = Rooms(lambda _: None)
    ada = Ear("ada")
    rooms.enter("room:a", ada)
    rooms.leave("room:a", ada)
    rooms.leave("room:a", ada)
    rooms.deliver(Told("room:a", "shout", {}))

    assert len(rooms) == 0
    assert ada.heard == []


def test_a_listener_may_leave_while_it_is_told() -> None:
    """Tell the rest all the same."""
    rooms = Rooms(lambda _: None)
    quitter, stayer = Ear("a"), Ear("b")
    rooms.enter("room:a", quitter)
    rooms.enter("room:a", stayer)
    setattr(quitter, "tell", lambda _told, _frame: rooms.leave("room:a", quitter))  # noqa: B010  # a method, for mypy

    rooms.deliver(Told("room:a", "shout", {}))

    assert len(stayer.heard) == 1
