"""Tell each room its messages once each and in their order, whatever the bus does to them on their way.

A message carries the one before it in its room. Where that was told, it is told at once; where it was not, the message
waits a moment for what is on its way, and after that the table is asked. So a bus may deliver twice, late, out of order
or not at all: what it brings is a hint, and the table is right.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from services.chat.bus.notes import UNKNOWN, Deliver, RoomNote, Told
from services.chat.models import ChatMessage
from services.errors import RequestError

# What comes over another connection may be so much later.
GAP_SECONDS = 0.05
# Rooms of one query, and messages of a room; where there are more, the query comes again.
READ_ROOMS = 100
READ_MESSAGES = 200
RETRY_SECONDS = 1.0
# Rooms in which nobody listens here; a join takes milliseconds, and so many do not speak meanwhile.
MAX_UNHEARD = 10_000
# While the table is away for long; clients ask for the state of things when they come back.
MAX_BEHIND = 1000

# Rooms with the last message told of each, to what came after it, oldest first.
Read: TypeAlias = Callable[[Sequence[tuple[int, int]], int], Awaitable[list[ChatMessage]]]
# Makes what a room, by its topic, is told of a stored message that comes after another.
Word: TypeAlias = Callable[[str, ChatMessage, int], Told]
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Room:
    topic: str
    id: int
    told: int
    # Came before their time, by the message that has to be told before each.
    early: dict[int, Told] = field(default_factory=dict)
    # What was said of the room while messages are awaited, and may be about them.
    behind: deque[RoomNote] = field(default_factory=lambda: deque(maxlen=MAX_BEHIND))
    timer: asyncio.TimerHandle | None = None
    # How often the table was to be asked: what is asked for during a query needs another one.
    asked: int = 0


class Order:
    """Hold how far each room is told, here.

    Args:
        deliver: tells the sockets of this process.
        read: asks the table; it raises RequestError while that is away.
        word: makes what a room is told.

    Attributes:
        on_gap: called with the number of rooms of which the table is asked.
    """

    def __init__(self, deliver: Deliver, read: Read, word: Word) -> None:
        self._deliver = deliver
        self._read = read
        self._word = word
        self._rooms: dict[int, _Room] = {}
        self._by_topic: dict[str, _Room] = {}
        self._unheard: OrderedDict[int, int] = OrderedDict()
        self._due: dict[int, None] = {}
        self._task: asyncio.Task[None] | None = None
        self.on_gap: Callable[[int], None] = _ignore

    def reached(self, topic: str, room: int, message_id: int) -> None:
        """Begin with a room; whoever listens there already makes this a second time, and it changes nothing."""
        if topic in self._by_topic:
            return
        found = self._rooms[room] = self._by_topic[topic] = _Room(topic, room, message_id)
        if self._unheard.pop(room, 0) > found.told:
            self._ask(found)

    def forget(self, topic: str) -> None:
        """End with a room in which nobody listens any more."""
        room = self._by_topic.pop(topic, None)
        if room is None:
            return
        if self._rooms.get(room.id) is room:
            del self._rooms[room.id]
            self._due.pop(room.id, None)
        if room.timer is not None:
            room.timer.cancel()

    def take(self, told: Told) -> None:
        """Tell a stored message in its turn."""
        room = self._rooms.get(told.room)
        if room is None:
            self._miss(told.room, told.message_id)
        elif told.message_id > room.told:
            if told.after == UNKNOWN:
                self._ask(room)
            elif told.after <= room.told and room.id not in self._due:
                self._tell(room, told)
                self._tell_early(room)
            else:
                room.early[told.after] = told
                self._await(room)

    def store(self, message: ChatMessage, after: int) -> None:
        """Tell a message of which only the message itself is known.

        Args:
            message: it.
            after: the one before it in its room.
        """
        room = self._rooms.get(message.channel_id)
        if room is None:
            self._miss(message.channel_id, message.id)
        elif message.id > room.told:
            self.take(self._word(room.topic, message, after))

    def hint(self, room_id: int, message_id: int) -> None:
        """Learn that a room has come so far, from whoever could not say with what."""
        room = self._rooms.get(room_id)
        if room is None:
            self._miss(room_id, message_id)
        elif message_id > room.told:
            self._ask(room)

    def pass_on(self, note: RoomNote) -> None:
        """Tell what is not a message, behind the messages that are awaited."""
        room = self._by_topic.get(note.topic)
        if room is None or not self._is_behind(room):
            self._deliver(note)
        else:
            room.behind.append(note)

    def recover(self) -> None:
        """Ask the table about every room, since the bus may have missed anything."""
        for room in tuple(self._rooms.values()):
            self._ask(room)

    async def close(self) -> None:
        """Ask nothing more."""
        for room in self._rooms.values():
            if room.timer is not None:
                room.timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def __len__(self) -> int:
        return len(self._rooms)

    def _miss(self, room: int, message_id: int) -> None:
        self._unheard[room] = max(message_id, self._unheard.pop(room, 0))
        if len(self._unheard) > MAX_UNHEARD:
            self._unheard.popitem(last=False)

    def _is_behind(self, room: _Room) -> bool:
        return bool(room.early) or room.id in self._due

    def _tell(self, room: _Room, told: Told) -> None:
        room.told = told.message_id
        try:
            self._deliver(told)
        except Exception:
            # It is stored, and whoever missed it fetches it; the messages behind it must not suffer.
            logger.exception("a room could not be told")

    def _tell_early(self, room: _Room) -> None:
        """Tell what has waited for the message that was told last; forget what the table has given meanwhile."""
        while room.early:
            found = min(room.early.values(), key=_message_id)
            if found.message_id > room.told:
                if found.after > room.told:
                    return
                self._tell(room, found)
            del room.early[found.after]
        self._settle(room)

    def _settle(self, room: _Room) -> None:
        """Nothing is awaited any more: tell what has waited behind it."""
        if room.timer is not None:
            room.timer.cancel()
            room.timer = None
        while room.behind and not self._is_behind(room):
            self._deliver(room.behind.popleft())

    def _await(self, room: _Room) -> None:
        if room.timer is None and room.id not in self._due:
            room.timer = asyncio.get_running_loop().call_later(GAP_SECONDS, self._give_up, room)

    def _give_up(self, room: _Room) -> None:
        room.timer = None
        if room.early:
            self._ask(room)

    def _ask(self, room: _Room) -> None:
        room.asked += 1
        self._due[room.id] = None
        if self._task is None:
            # A context of its own: it serves everybody, and must not carry the id of one request.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        try:
            while self._due:
                rooms = [self._rooms[room_id] for room_id in tuple(self._due)[:READ_ROOMS]]
                try:
                    await self._catch_up(rooms)
                except RequestError as error:
                    logger.warning("rooms wait for what they missed", extra={"fields": {"reason": str(error)}})
                    await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # no secret
        except Exception:
            logger.exception("rooms could not be told what they missed")
        finally:
            self._task = None

    async def _catch_up(self, rooms: Sequence[_Room]) -> None:
        self.on_gap(len(rooms))
        by_id = {room.id: room for room in rooms}
        asked = [(room, room.asked, max(map(_message_id, room.early.values()), default=0)) for room in rooms]
        counts = dict.fromkeys(by_id, 0)
        for message in await self._read([(room.id, room.told) for room in rooms], READ_MESSAGES):
            room = by_id[message.channel_id]
            counts[room.id] += 1
            if self._rooms.get(room.id) is room and message.id > room.told:
                self._tell(room, self._word(room.topic, message, room.told))
        for room, times, early in asked:
            is_whole = counts[room.id] < READ_MESSAGES and room.asked == times
            if self._rooms.get(room.id) is room and is_whole:
                self._end_gap(room, early)

    def _end_gap(self, room: _Room, early: int) -> None:
        """Go on with what came during the query; what came before it was in the answer, or never will be."""
        del self._due[room.id]
        room.early = {after: told for after, told in room.early.items() if told.message_id > max(room.told, early)}
        self._tell_early(room)
        if room.early:
            self._await(room)


def _message_id(told: Told) -> int:
    return told.message_id


def _ignore(_count: int) -> None:
    pass
