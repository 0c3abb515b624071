"""Be the bus of several replicas: notes go out in frames over a link, and what comes in is put in order.

Who is told when, here and elsewhere:

- A stored message is told here as soon as it is committed, in its turn (`order`); the others hear of it by the commit
  itself where the link can do that, else by a note behind it.
- What changes something (a stamp, an edit, a leave) is told everywhere, here too, as it comes back over the link, so
  that two replicas' changes end up the same everywhere. While the link is down it is told here at once.
- What is gone a moment later (a whisper) and who comes and goes is told here at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence

import msgspec

from services.chat.bus import frames
from services.chat.bus.frames import Bye, Frame, Hello, Roll, Signal
from services.chat.bus.link import Link
from services.chat.bus.notes import Arrived, Deliver, Gone, Note, PresenceNote, Told
from services.chat.bus.order import Order
from services.chat.bus.pieces import Pieces
from services.chat.bus.replicas import BEAT_SECONDS, Numbers, Replicas
from services.chat.errors import ProtocolError

logger = logging.getLogger(__name__)


class SharedBus:
    """Share notes with the other replicas.

    Args:
        link: carries frames.
        deliver: tells the sockets of this process, as Rooms.deliver does.
        order: puts stored messages in their order.
        origin: names this process, in its life.

    Attributes:
        present: takes who comes and goes, as Presence.deliver does.
        recheck: looks whether everybody who listens here still may; called when something may have been missed.
        is_up: whether the link is.
        was_up: whether it ever was.
    """

    def __init__(self, link: Link, deliver: Deliver, order: Order, origin: str | None = None) -> None:
        self._link = link
        self._deliver = deliver
        self._order = order
        self.origin = origin or secrets.token_hex(8)
        self.present: Callable[[PresenceNote], None] = _ignore
        self.recheck: Callable[[], None] = _do_nothing
        self.is_up = self.was_up = False
        self._here: dict[int, Arrived] = {}
        self._waiting: list[msgspec.Raw] = []
        self._number = 0
        self._met_newer = False
        self._replicas = Replicas(self._present, self._miss)
        self._ours = Numbers(_do_nothing)
        self._pieces = Pieces()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen, and to give signs of life."""
        # Contexts of their own: neither belongs to a request.
        context = contextvars.Context()
        self._tasks = [asyncio.create_task(work, context=context) for work in (self._link.run(self), self._beat())]

    async def close(self) -> None:
        """Take leave of the others."""
        self._send([frames.encode_note(Bye())])
        await self._link.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._order.close()

    def publish(self, note: Note) -> None:
        """Take a note."""
        match note:
            case Arrived() | Gone():
                self._count_here(note)
                self.present(note)
                self._queue(note)
            case Told(message_id=message_id) if message_id:
                self._order.take(note)
                if not self._link.notified:
                    self._queue(note)
            case Told(is_fleeting=True):
                self._deliver(note)
                self._queue(note)
            case _ if self.is_up:
                self._queue(note)
            case _:
                self._order.pass_on(note)
                self._send([frames.encode_note(note)], is_told=True)

    def reached(self, topic: str, room: int, message_id: int) -> None:
        """Learn how far a room has come."""
        self._order.reached(topic, room, message_id)

    def receive(self, frame: bytes) -> None:
        """Take a frame of any replica's, this one included."""
        try:
            whole = self._pieces.join(frames.decode_frame(frame))
            if whole is not None:
                self._take(whole)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            logger.warning("the bus brought what is no frame", extra={"fields": {"bytes": len(frame)}})
        except Exception:
            logger.exception("a frame of the bus could not be carried out")

    def opened(self) -> None:
        """Make up for what was missed."""
        self.is_up = self.was_up = True
        self._replicas.pardon()
        self._send([frames.encode_note(Hello())])
        self._call_roll()
        self._miss()

    def closed(self) -> None:
        """Tell here at once what would have come back."""
        self.is_up = False
        self._flush()

    def count_replicas(self) -> int:
        """Return how many replicas there are, this one included."""
        return len(self._replicas) + 1

    def _take(self, frame: Frame) -> None:
        is_ours = frame.origin == self.origin
        is_new = self._ours.take(frame.number) if is_ours else self._replicas.hear(frame.origin, frame.number)
        if not is_ours and self._replicas.must_ask(frame.origin):
            # It may have said who came and who went.
            self._send([frames.encode_note(Hello())], to=frame.origin)
        if not is_new or frame.to not in ("", self.origin):
            return
        for stored in frame.stored:
            self._order.store(stored.message(), stored.after)
        for room, message_id in frame.reached:
            self._order.hint(room, message_id)
        for raw in frame.notes:
            try:
                note = frames.decode_note(raw)
            except msgspec.MsgspecError:
                if not self._met_newer:
                    self._met_newer = True
                    logger.warning("a newer replica said something that this one does not know")
            else:
                self._carry_out(frame, note, is_ours=is_ours)

    def _carry_out(self, frame: Frame, note: Note | Signal, *, is_ours: bool) -> None:
        match note:
            case Told(message_id=message_id) if message_id:
                self._order.take(note)
            case Arrived() | Gone() | Roll() | Hello() | Bye() if is_ours:
                pass
            case Arrived() | Gone() | Roll():
                self._replicas.take(frame.origin, note)
            case Hello():
                # For the one who asks alone: of many replicas, each has thousands with it.
                self._call_roll(to=frame.origin)
            case Bye():
                self._replicas.forget(frame.origin)
            case Told(is_fleeting=True):
                if not is_ours:
                    self._deliver(note)
            case _ if not (is_ours and frame.is_told):
                self._order.pass_on(note)

    def _present(self, note: PresenceNote) -> None:
        self.present(note)

    def _miss(self) -> None:
        self._order.recover()
        self.recheck()

    def _count_here(self, note: PresenceNote) -> None:
        if isinstance(note, Arrived):
            self._here[note.ref] = note
        else:
            self._here.pop(note.ref, None)

    def _call_roll(self, to: str = "") -> None:
        notes: Iterable[Note | Signal] = (Roll(is_over=False), *self._here.values(), Roll(is_over=True))
        self._flush()
        self._send([frames.encode_note(note) for note in notes], to=to)

    def _queue(self, note: Note) -> None:
        """Send a note with all the others of the loop's present turn."""
        try:
            raw = frames.encode_note(note)
        except ProtocolError:
            logger.exception("a note cannot be written")
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(raw)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._send(waiting)

    def _send(self, notes: Sequence[msgspec.Raw], *, is_told: bool = False, to: str = "") -> None:
        for part in frames.pack(notes, self._link.max_bytes):
            self._number += 1
            frame = Frame(self.origin, self._number, notes=part, is_told=is_told, to=to)
            for raw in frames.write(frame, self._link.max_bytes):
                self._link.send(raw)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            with contextlib.suppress(Exception):
                if self.is_up:
                    self._number += 1
                    self._link.send(msgspec.json.encode(Frame(self.origin, self._number)))
                    self._replicas.sweep()


def _ignore(_note: PresenceNote) -> None:
    pass


def _do_nothing() -> None:
    pass
