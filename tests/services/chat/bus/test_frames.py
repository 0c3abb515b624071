"""Write what goes over the bus, and read it again."""

from __future__ import annotations

import msgspec
import pytest

from services.chat.bus import Arrived, Cut, Gone, Moved, Mute, Note, Told
from services.chat.bus.frames import (
    Bye,
    Frame,
    Hello,
    Roll,
    Signal,
    decode_frame,
    decode_note,
    encode_note,
    pack,
    write,
)
from services.chat.bus.pieces import MAX_FRAMES, Pieces

NOTES: list[Note | Signal] = [
    Cut("room:a", "ada"),
    Cut("room:a", "ada", 7),
    Moved("room:a", "room:b"),
    Mute("room:a", "ada", frozenset({1, 2})),
    Arrived("room:a", "ada \N{SNOWMAN}", 3, 1 << 61, 1_800_000_000),
    Gone("room:a", 1 << 61),
    Roll(is_over=True),
    Hello(),
    Bye(),
]


@pytest.mark.parametrize("note", NOTES, ids=repr)
def test_a_note_is_read_as_it_was_written(note: Note | Signal) -> None:
    """Every kind."""
    assert decode_note(encode_note(note)) == note


def test_what_is_told_keeps_its_bytes_and_loses_whom_it_spares() -> None:
    """A payload is JSON once and for all; the listener that it spares lives in one process."""
    payload = {"data": {"n": 1, "text": 'a "b" \N{SNOWMAN}'}}
    told = Told("room:a", "shout", payload, 9, 8, 5, 4, is_fleeting=True, but=object())

    read = decode_note(encode_note(told))

    assert isinstance(read, Told)
    assert bytes(read.payload) == msgspec.json.encode(payload)
    assert (read.topic, read.event, read.message_id, read.after, read.room) == ("room:a", "shout", 9, 8, 5)
    assert (read.author, read.is_fleeting, read.but) == (4, True, None)


def test_a_kind_from_the_future_costs_only_itself() -> None:
    """The frame around it is read."""
    frame = decode_frame(b'{"o":"x","n":3,"k":[["zz",1,2],["h"]],"new":1}')

    assert frame.number == 3
    with pytest.raises(msgspec.MsgspecError):
        decode_note(frame.notes[0])
    assert decode_note(frame.notes[1]) == Hello()


def test_notes_share_frames() -> None:
    """As many as fit, in order, and none is lost that fits into none."""
    notes = [encode_note(Told("room:a", "whisper", "x" * size)) for size in (10, 2000, 3000, 4000, 9000, 10)]

    packed = list(pack(notes, 8000))

    assert [note for part in packed for note in part] == notes
    assert [len(part) for part in packed] == [3, 1, 1, 1]


@pytest.mark.parametrize("text", ["x", '"\\\n', "\N{SNOWMAN}", "\N{GRINNING FACE}", "\x01"])
@pytest.mark.parametrize("most", [400, 7999])
def test_what_is_too_large_goes_in_pieces(text: str, most: int) -> None:
    """Each within the limit, whatever the text is made of; put together in any order they are the frame."""
    frame = Frame("0123456789abcdef", 12, notes=[encode_note(Told("room:a", "whisper", text * 5000))])

    pieces = write(frame, most)

    assert max(map(len, pieces)) <= most
    joined = Pieces()
    found = [whole for piece in reversed(pieces) if (whole := joined.join(decode_frame(piece))) is not None]
    assert found == [frame]


def test_half_frames_do_not_pile_up() -> None:
    """Of a replica that dies in the middle of one, nothing is kept for good; pieces that are none are left."""
    pieces = Pieces()
    for number in range(10 * MAX_FRAMES):
        assert pieces.join(Frame("x", number, piece=(0, 2, "{"))) is None
    assert pieces.join(Frame("x", 1, piece=(5, 2, "{"))) is None

    assert len(pieces._parts) <= MAX_FRAMES + 1
