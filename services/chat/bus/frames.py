"""Write what goes over the bus, and read it.

A frame is JSON of one replica's: notes, numbered so that a loss is seen; or messages that a commit of its has stored,
whole, or only how far their rooms have come where that is all that fits (`chat_say` in the migrations writes these).
What is larger than the transport takes goes in pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from services.chat.bus.notes import Arrived, Cut, Gone, Moved, Mute, Note, Told
from services.chat.models import ChatMessage
from services.chat.protocol import encode_payload


class _Told(msgspec.Struct, frozen=True, array_like=True, tag="t"):
    topic: str
    event: str
    payload: msgspec.Raw
    message_id: int
    after: int
    room: int
    author: int
    is_fleeting: bool


class _Cut(msgspec.Struct, frozen=True, array_like=True, tag="c"):
    topic: str
    identity: str
    message_id: int


class _Moved(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    topic: str
    to: str


class _Mute(msgspec.Struct, frozen=True, array_like=True, tag="q"):
    topic: str
    identity: str
    muted: frozenset[int]


class _Arrived(msgspec.Struct, frozen=True, array_like=True, tag="a"):
    topic: str
    identity: str
    member_id: int
    ref: int
    since: int


class _Gone(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    topic: str
    ref: int


class Roll(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """Begin, or end, the list of everybody who is with a replica; whoever is not in it, is gone.

    Attributes:
        is_over: whether it ends.
    """

    is_over: bool


class Hello(msgspec.Struct, frozen=True, array_like=True, tag="h"):
    """Say that a replica has come, or come back, and ask the others who is with them."""


class Bye(msgspec.Struct, frozen=True, array_like=True, tag="b"):
    """Say that a replica goes for good."""


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """Be a message as its commit tells it."""

    room: int
    id: int
    after: int
    member_id: int
    body: str
    client_id: str | None
    inserted_at: datetime

    def message(self) -> ChatMessage:
        """Return it as a room is told it."""
        return ChatMessage(
            id=self.id,
            inserted_at=self.inserted_at,
            channel_id=self.room,
            member_id=self.member_id,
            type="chat",
            body=self.body,
            stamps=(),
            client_id=self.client_id,
        )


Signal: TypeAlias = Roll | Hello | Bye
_Wire: TypeAlias = _Told | _Cut | _Moved | _Mute | _Arrived | _Gone | Roll | Hello | Bye


class Frame(msgspec.Struct, omit_defaults=True):
    """Be what one replica says at once.

    Attributes:
        origin: names the replica, and its life: one that starts again is another.
        number: counts a replica's frames of notes; 0 where a commit carries it.
        notes: each as JSON, so that one of a kind that came with a newer version costs none of the others.
        is_told: whether the replica has told its own sockets already.
        stored: messages of a commit.
        reached: or how far their rooms have come: an id of a room and of a message each.
        piece: of a frame in pieces: which, of how many, and its text.
        to: the one replica that it is for; everybody where it names none. Older versions take it as for everybody.
    """

    origin: str = msgspec.field(name="o")
    number: int = msgspec.field(name="n", default=0)
    notes: list[msgspec.Raw] = msgspec.field(name="k", default_factory=list)
    is_told: bool = msgspec.field(name="l", default=False)
    stored: list[Stored] = msgspec.field(name="s", default_factory=list)
    reached: list[tuple[int, int]] = msgspec.field(name="r", default_factory=list)
    piece: tuple[int, int, str] | None = msgspec.field(name="p", default=None)
    to: str = msgspec.field(name="t", default="")


_NOTE = msgspec.json.Decoder(_Wire)
_FRAME = msgspec.json.Decoder(Frame)
_KINDS: dict[type, type[Any]] = {Moved: _Moved, Mute: _Mute, Arrived: _Arrived, Gone: _Gone, Cut: _Cut}
_NOTES: dict[type, type[Any]] = {wire: note for note, wire in _KINDS.items()}
# Room for the rest of a frame around its notes, and for a piece's escapes around its text.
_ENVELOPE = 120


def encode_note(note: Note | Signal) -> msgspec.Raw:
    """Write a note.

    Raises:
        ProtocolError: its payload is nothing that JSON can hold.
    """
    match note:
        case Told():
            payload = encode_payload(note.payload)
            wire: Any = _Told(
                note.topic,
                note.event,
                payload,
                note.message_id,
                note.after,
                note.room,
                note.author,
                note.is_fleeting,
            )
        case Roll() | Hello() | Bye():
            wire = note
        case _:
            kind = _KINDS[type(note)]
            wire = kind(*(getattr(note, name) for name in kind.__struct_fields__))
    return msgspec.Raw(msgspec.json.encode(wire))


def decode_note(raw: msgspec.Raw) -> Note | Signal:
    """Read a note.

    Raises:
        msgspec.MsgspecError: it is of a kind that this version does not know.
    """
    wire = _NOTE.decode(raw)
    match wire:
        case _Told():
            # A copy: what is read points into the whole frame, which would be held as long as the note.
            return Told(
                wire.topic,
                wire.event,
                wire.payload.copy(),
                wire.message_id,
                wire.after,
                wire.room,
                wire.author,
                is_fleeting=wire.is_fleeting,
            )
        case Roll() | Hello() | Bye():
            return wire
        case _:
            note: Note = _NOTES[type(wire)](*(getattr(wire, name) for name in wire.__struct_fields__))
            return note


def decode_frame(raw: bytes) -> Frame:
    """Read a frame.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _FRAME.decode(raw)


def pack(notes: Sequence[msgspec.Raw], most: int) -> Iterator[list[msgspec.Raw]]:
    """Part notes into as few frames as they fit into; one that is too large has a frame of its own."""
    packed: list[msgspec.Raw] = []
    size = _ENVELOPE
    for note in notes:
        length = len(bytes(note)) + 1
        if packed and size + length > most:
            yield packed
            packed, size = [], _ENVELOPE
        packed.append(note)
        size += length
    if packed:
        yield packed


def write(frame: Frame, most: int) -> list[bytes]:
    """Write a frame, in pieces where it is larger than the transport takes.

    Args:
        frame: what is to be said.
        most: bytes that the transport takes.
    """
    raw = msgspec.json.encode(frame)
    if len(raw) <= most:
        return [raw]
    text = raw.decode()
    # Four bytes a character at most, and an escape makes two of one.
    step = max(1, (most - _ENVELOPE) // 4)
    parts = [text[start : start + step] for start in range(0, len(text), step)]
    return [
        msgspec.json.encode(Frame(frame.origin, frame.number, piece=(index, len(parts), part)))
        for index, part in enumerate(parts)
    ]
