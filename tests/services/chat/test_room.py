"""Tell rooms, encode once, and cut who left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import count

from services.chat.batch import Batch
from services.chat.bus import Cut, Mute, Told
from services.chat.crowd import CROWD
from services.chat.protocol import Version
from services.chat.room import GATHER_SECONDS, MAX_BYTES, QUIET_SECONDS, Rooms


class Ear:
    """Be a listener that keeps what it hears."""

    def __init__(self, identity: str, version: Version = Version.V2) -> None:
        self.identity = identity
        self.version = version
        self.heard: list[bytes] = []
        self.cuts = 0
        self.on_cut: Callable[[], None] = lambda: None
        self.muted: frozenset[int] = frozenset()
        self.is_joined = True

    def hear(self, batch: Batch) -> int:
        """Keep it, in one piece where it is told all."""
        if batch.is_whole_for(self):
            self.heard.append(batch.joined.get(self.version) or batch.join(self.version))
            return batch.size
        parts = [frame for _, frame in batch.parts_for(self)]
        self.heard += parts
        return len(parts)

    def mute(self, member_ids: frozenset[int]) -> None:
        """Hear no more of them."""
        self.muted = member_ids

    def cut(self, message_id: int) -> None:
        """Count it."""
        del message_id
        self.cuts += 1
        self.on_cut()


async def test_a_broadcast_is_encoded_once_a_serializer() -> None:
    """Hand the very same bytes to all that speak alike."""
    counts: list[int] = []
    rooms = Rooms(counts.append)
    ears = [Ear("a"), Ear("b"), Ear("c", Version.V1), Ear("d")]
    for ear in ears[:3]:
        rooms.enter("room:a", ear)
    rooms.enter("room:b", ears[3])

    rooms.deliver(Told("room:a", "shout", {"x": 1}))
    rooms.flush("room:a")

    assert ears[0].heard[0] is ears[1].heard[0]
    assert json.loads(ears[0].heard[0][2:]) == [None, None, "room:a", "shout", {"x": 1}]
    assert json.loads(ears[2].heard[0][2:])["payload"] == {"x": 1}
    assert ears[3].heard == []
    assert counts == [3]


async def test_a_mute_spares_one_persons_channels_in_one_room() -> None:
    """Let the others hear, and the person what others say; the next mute counts instead."""
    rooms = Rooms(lambda _: None)
    ears = [Ear("ada"), Ear("ada"), Ear("bob")]
    for ear in ears:
        rooms.enter("room:a", ear)
    rooms.deliver(Mute("room:a", "ada", frozenset({7})))
    rooms.deliver(Mute("room:b", "bob", frozenset({7})))
    rooms.deliver(Told("room:a", "shout", {}, author=7))
    rooms.deliver(Told("room:a", "shout", {}, author=8))
    rooms.flush("room:a")
    rooms.deliver(Mute("room:a", "ada", frozenset()))
    rooms.deliver(Told("room:a", "shout", {}, author=7))
    rooms.flush("room:a")

    assert [ear.muted for ear in ears] == [frozenset()] * 3
    assert [sum(frame.count(b"shout") for frame in ear.heard) for ear in ears] == [2, 2, 3]


async def test_a_cut_ends_one_persons_channels_in_one_room() -> None:
    """Let the others be, and the person's other rooms."""
    rooms = Rooms(lambda _: None)
    ada, ada_elsewhere, bob = Ear("ada"), Ear("ada"), Ear("bob")
    rooms.enter("room:a", ada)
    rooms.enter("room:a", bob)
    rooms.enter("room:b", ada_elsewhere)
    ada.on_cut = lambda: rooms.leave("room:a", ada)

    rooms.deliver(Cut("room:a", "ada"))
    rooms.deliver(Told("room:a", "shout", {}))
    rooms.flush("room:a")

    assert (ada.cuts, bob.cuts, ada_elsewhere.cuts) == (1, 0, 0)
    assert (len(ada.heard), len(bob.heard)) == (0, 1)


async def test_an_empty_room_is_forgotten() -> None:
    """Hold nothing for rooms in which nobody is."""
    rooms = Rooms(lambda _: None)
    ada = Ear("ada")
    rooms.enter("room:a", ada)
    rooms.leave("room:a", ada)
    rooms.leave("room:a", ada)
    rooms.deliver(Told("room:a", "shout", {}))

    assert len(rooms) == 0
    assert ada.heard == []


def let_quit(rooms: Rooms, quitter: Ear) -> None:
    """Let somebody leave because of what they are told."""

    def quit_room(_batch: Batch) -> int:
        rooms.leave("room:a", quitter)
        return 0

    setattr(quitter, "hear", quit_room)  # noqa: B010  # a method, for mypy


async def test_a_listener_may_leave_while_it_is_told() -> None:
    """Tell the rest all the same."""
    rooms = Rooms(lambda _: None)
    quitter, stayer = Ear("a"), Ear("b")
    rooms.enter("room:a", quitter)
    rooms.enter("room:a", stayer)

    let_quit(rooms, quitter)

    rooms.deliver(Told("room:a", "shout", {}))
    rooms.flush("room:a")

    assert len(stayer.heard) == 1


async def test_what_comes_up_within_a_moment_goes_out_in_one_piece() -> None:
    """Write once to each socket, in order, when the moment is over."""
    counts: list[int] = []
    rooms = Rooms(counts.append, still)
    ada, bob = Ear("ada"), Ear("bob")
    for ear in (ada, bob):
        rooms.enter("room:a", ear)

    for number in range(3):
        rooms.deliver(Told("room:a", "shout", {"n": number}))
    before = list(ada.heard)
    await hears(bob, 1)

    assert before == []
    assert len(ada.heard) == 1
    assert ada.heard[0] is bob.heard[0]
    assert [json.loads(frame)[4]["n"] for frame in frames_of(ada.heard[0])] == [0, 1, 2]
    assert counts == [6]


async def test_a_room_that_has_gathered_much_is_told_at_once() -> None:
    """Keep one flooding sender from filling everybody's buffer within a turn."""
    rooms = Rooms(lambda _: None, still)
    ada = Ear("ada")
    rooms.enter("room:a", ada)

    for _ in range(4):
        rooms.deliver(Told("room:a", "shout", {"text": "x" * (MAX_BYTES // 3)}))

    assert len(frames_of(ada.heard[0])) == 3
    await hears(ada, 2)
    assert len(ada.heard) == 2


async def test_who_comes_hears_nothing_of_before_and_who_leaves_all_of_it() -> None:
    """Tell a room what it is to be told before its listeners change."""
    rooms = Rooms(lambda _: None, still)
    ada, bob = Ear("ada"), Ear("bob")
    rooms.enter("room:a", ada)

    rooms.deliver(Told("room:a", "shout", {"n": 1}))
    rooms.enter("room:a", bob)
    rooms.deliver(Told("room:a", "shout", {"n": 2}))
    rooms.leave("room:a", ada)
    rooms.deliver(Told("room:a", "shout", {"n": 3}))
    await hears(bob, 2)

    assert [json.loads(piece[2:])[4]["n"] for piece in ada.heard] == [1, 2]
    assert [json.loads(piece[2:])[4]["n"] for piece in bob.heard] == [2, 3]


async def test_who_is_spared_something_gets_the_rest_of_the_batch() -> None:
    """Leave out one's own whisper and the words of the muted, for them alone."""
    counts: list[int] = []
    rooms = Rooms(counts.append, still)
    ada, bob, eve = Ear("ada"), Ear("bob"), Ear("eve")
    bob.muted = frozenset({7})
    for ear in (ada, bob, eve):
        rooms.enter("room:a", ear)

    rooms.deliver(Told("room:a", "whisper", {"n": 1}, but=ada))
    rooms.deliver(Told("room:a", "shout", {"n": 2}, message_id=1, author=7))
    rooms.deliver(Told("room:a", "shout", {"n": 3}, message_id=2, author=8))
    await hears(eve, 1)

    assert [json.loads(piece[2:])[4]["n"] for piece in ada.heard] == [2, 3]
    assert [json.loads(piece[2:])[4]["n"] for piece in bob.heard] == [1, 3]
    assert [json.loads(frame)[4]["n"] for frame in frames_of(eve.heard[0])] == [1, 2, 3]
    assert counts == [7]


async def test_what_comes_alone_is_told_at_once() -> None:
    """Where nobody was told anything for a while; else a quiet room after the turn, and a busy one in a moment."""
    moment = [100.0]
    rooms = Rooms(lambda _: None, lambda: moment[0])
    ada, bob = Ear("ada"), Ear("bob")
    rooms.enter("room:a", ada)
    rooms.enter("room:b", bob)

    rooms.deliver(Told("room:a", "shout", {"n": 1}))
    assert len(ada.heard) == 1
    for number in (2, 3):
        rooms.deliver(Told("room:a", "shout", {"n": number}))
    rooms.deliver(Told("room:b", "shout", {}))
    assert (len(ada.heard), len(bob.heard)) == (1, 0)
    await asyncio.sleep(0)
    assert (len(ada.heard), len(bob.heard)) == (1, 1)
    await hears(ada, 2)
    moment[0] += 2 * QUIET_SECONDS
    rooms.deliver(Told("room:a", "shout", {"n": 4}))
    assert [json.loads(frame)[4]["n"] for frame in frames_of(b"".join(ada.heard))] == [1, 2, 3, 4]
    assert len(ada.heard) == 3
    rooms.deliver(Told("room:b", "shout", {}))
    rooms.deliver(Told("room:a", "shout", {"n": 5}))
    rooms.flush_all()
    assert (len(ada.heard), len(bob.heard)) == (4, 2)


async def hears(ear: Ear, pieces: int) -> None:
    """Wait until somebody has heard so much."""
    async with asyncio.timeout(60):
        while len(ear.heard) < pieces:  # noqa: ASYNC110  # it is a list
            await asyncio.sleep(GATHER_SECONDS)


def still() -> float:
    """Be a clock that stands: no room is ever quiet."""
    return 0.0


def frames_of(data: bytes) -> list[bytes]:
    """Take websocket frames apart."""
    frames: list[bytes] = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4]), 4
        frames.append(data[start : start + size])
        data = data[start + size :]
    return frames


def test_who_is_in_a_room_is_who_has_joined() -> None:
    """Name each person once, and nobody whose join is still under way."""
    rooms = Rooms(lambda _: None)
    ears = [Ear("ada"), Ear("ada"), Ear("bob"), Ear("eve"), Ear("cy")]
    ears[3].is_joined = False
    for ear in ears[:4]:
        rooms.enter("room:a", ear)
    rooms.enter("room:b", ears[4])

    assert rooms.identities("room:a") == {"ada", "bob"}
    rooms.leave("room:a", ears[0])
    assert rooms.identities("room:a") == {"ada", "bob"}
    rooms.leave("room:a", ears[1])
    assert rooms.identities("room:a") == {"bob"}
    assert rooms.identities("room:none") == set()


def crowd(rooms: Rooms, size: int) -> list[Ear]:
    """Fill a room with people."""
    ears = [Ear(str(number)) for number in range(size)]
    for ear in ears:
        rooms.enter("room:a", ear)
    return ears


def said(ear: Ear) -> list[list[int]]:
    """Return the numbers that somebody was told, by the piece."""
    return [[int(part.split(b"}")[0]) for part in piece.split(b'"n":')[1:]] for piece in ear.heard]


async def test_a_crowd_is_told_a_part_a_turn_and_others_have_theirs_meanwhile() -> None:
    """Count who has heard it, turn by turn."""
    counts: list[int] = []
    rooms = Rooms(counts.append)
    ears, other = crowd(rooms, 2 * CROWD + 1), Ear("other")
    rooms.enter("room:b", other)
    rooms.deliver(Told("room:a", "shout", {"n": 1}))
    assert counts == [CROWD]
    rooms.deliver(Told("room:b", "shout", {"n": 2}))
    await asyncio.sleep(0)
    assert other.heard
    assert not ears[-1].heard
    await asyncio.sleep(0)
    assert counts == [CROWD, CROWD, 1, 1]
    assert all(said(ear) == [[1]] for ear in ears)


async def test_what_is_said_in_a_crowd_meanwhile_goes_out_in_one_piece_behind_it() -> None:
    """Nobody hears the second before the first, wherever they stand."""
    rooms = Rooms(lambda _: None)
    ears = crowd(rooms, 3 * CROWD)
    rooms.deliver(Told("room:a", "shout", {"n": 1}))
    rooms.deliver(Told("room:a", "shout", {"n": 2}))
    rooms.deliver(Told("room:a", "shout", {"n": 3}))
    assert not ears[-1].heard
    await hears(ears[-1], 2)
    assert all(said(ear) == [[1], [2, 3]] for ear in ears)


async def test_a_crowd_is_told_all_before_its_listeners_change_and_when_something_has_to_follow() -> None:
    """Who comes hears nothing of before, and who leaves all of it."""
    moments = count(start=1)
    rooms = Rooms(lambda _: None, lambda: float(next(moments)))
    ears = crowd(rooms, 2 * CROWD)
    last, newcomer = ears[-1], Ear("newcomer")
    rooms.deliver(Told("room:a", "shout", {"n": 1}))
    rooms.enter("room:a", newcomer)
    assert said(last) == [[1]]
    rooms.deliver(Told("room:a", "shout", {"n": 2}))
    rooms.flush("room:a")
    assert said(last) == [[1], [2]]
    rooms.deliver(Told("room:a", "shout", {"n": 3}))
    rooms.deliver(Told("room:a", "shout", {"n": 4}))
    rooms.leave("room:a", last)
    assert said(last) == [[1], [2], [3], [4]]
    rooms.deliver(Told("room:a", "shout", {"n": 5}))
    rooms.flush_all()
    assert said(newcomer)[-1] == [5]
    # What was begun before goes on with nothing.
    await asyncio.sleep(0)
    assert said(last) == [[1], [2], [3], [4]]
    assert all(said(ear) == [[1], [2], [3], [4], [5]] for ear in ears[:-1])


async def test_a_crowd_that_was_told_all_at_once_is_told_the_next_a_part_a_turn_again() -> None:
    """What was begun before does not hurry it."""
    counts: list[int] = []
    moments = count(start=1)
    rooms = Rooms(counts.append, lambda: float(next(moments)))
    crowd(rooms, 3 * CROWD)
    rooms.deliver(Told("room:a", "shout", {"n": 1}))
    rooms.flush("room:a")
    rooms.deliver(Told("room:a", "shout", {"n": 2}))
    await asyncio.sleep(0)
    assert counts == [CROWD, 2 * CROWD, CROWD, CROWD]


async def test_who_leaves_a_crowd_while_it_is_told_changes_nothing_for_the_others() -> None:
    """What waits behind it still comes behind it."""
    rooms = Rooms(lambda _: None)
    ears = crowd(rooms, 2 * CROWD)
    quitter = ears[CROWD]

    let_quit(rooms, quitter)
    rooms.deliver(Told("room:a", "shout", {"n": 1}))
    rooms.deliver(Told("room:a", "shout", {"n": 2}))
    await hears(ears[-1], 2)
    assert all(said(ear) == [[1], [2]] for ear in ears if ear is not quitter)
