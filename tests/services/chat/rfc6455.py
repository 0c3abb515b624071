"""List what a client may do on the wire, and may not, by the case groups of the Autobahn test suite.

https://github.com/crossbario/autobahn-testsuite has the cases themselves; RFC 6455 has the reasons.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tests.services.chat.raw import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, frame

# Bytes of one message that the sockets of these tests take.
MOST = 70_000

Told = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True)
class Row:
    """Be one case.

    Attributes:
        what: it is about.
        sent: by the client.
        told: what comes back before the server closes, the kind and the payload of each frame.
        code: of the server's close; none where the socket lives on.
        chop: bytes of each write; 0 for all at once.
        aiohttp: what its handler tells, its code, and why it differs.
    """

    what: str
    sent: bytes
    told: Told = ()
    code: int | None = None
    chop: int = 0
    aiohttp: tuple[Told, int | None, str] | None = None


def _chopped(row: Row, *chops: int) -> Iterator[Row]:
    """Say the same at once, and in writes of so many bytes."""
    yield row
    for chop in chops:
        yield Row(f"{row.what}, {chop} bytes a write", row.sent, row.told, row.code, chop, row.aiohttp)


HELLO = frame(b"hello")
HEARD = ((TEXT, b"hello"),)
_UNMASKED = frame(b"hello", is_masked=False)
_NO_MASK = "its parser does not ask for a mask"
_NO_EMPTY_FRAGMENT = "its parser takes an empty fragment for none"


def _framing() -> Iterator[Row]:
    for kind in (TEXT, BINARY):
        for size in (0, 125, 126, 127, 128, 65_535, 65_536):
            payload = b"*" * size
            row = Row(
                f"{'text' if kind is TEXT else 'binary'} of {size}", frame(payload, FIN | kind), ((kind, payload),)
            )
            yield from _chopped(row, 997)
    yield Row("a mask of zeros", bytes([FIN | TEXT, 0x85]) + bytes(4) + b"hello", HEARD)
    for row in (
        Row("no mask", _UNMASKED, (), 1002, aiohttp=(HEARD, None, _NO_MASK)),
        Row("no mask behind one", HELLO + _UNMASKED, HEARD, 1002, aiohttp=(HEARD * 2, None, _NO_MASK)),
        Row(
            "two without a mask that are as long as one with it",
            frame(b"", FIN | PING, is_masked=False) + frame(b"ab", is_masked=False),
            (),
            1002,
            aiohttp=(((PONG, b""), (TEXT, b"ab")), None, _NO_MASK),
        ),
        Row(
            "no mask in a fragment",
            frame(b"he", TEXT) + frame(b"llo", FIN | CONTINUATION, is_masked=False),
            (),
            1002,
            aiohttp=(HEARD, None, _NO_MASK),
        ),
    ):
        yield from _chopped(row, 1)


def _pings() -> Iterator[Row]:
    for payload in (b"", b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125):
        yield from _chopped(Row(f"a ping of {len(payload)}", frame(payload, FIN | PING), ((PONG, payload),)), 1)
    yield from _chopped(Row("a ping of 126", frame(b"\xfe" * 126, FIN | PING), (), 1002), 1)
    yield Row("a pong of 126", frame(b"\xfe" * 126, FIN | PONG), (), 1002)
    yield Row("a pong unasked for", frame(b"", FIN | PONG))
    yield Row("a pong with a payload unasked for", frame(b"unsolicited", FIN | PONG))
    sent = frame(b"unsolicited", FIN | PONG) + frame(b"ping", FIN | PING)
    yield Row("a pong unasked for, and a ping", sent, ((PONG, b"ping"),))
    ten = [b"payload %d" % number for number in range(10)]
    told = tuple((PONG, payload) for payload in ten)
    yield from _chopped(Row("ten pings", b"".join(frame(payload, FIN | PING) for payload in ten), told), 1)


def _reserved() -> Iterator[Row]:
    """What comes before is heard, what comes behind is not."""
    ping = frame(b"", FIN | PING)
    for bits in range(1, 8):
        yield Row(f"reserved bits {bits:03b}", HELLO + frame(b"*", FIN | bits << 4 | TEXT) + ping, HEARD, 1002)
    for kind, name in ((BINARY, "binary"), (PING, "ping"), (PONG, "pong"), (CLOSE, "close")):
        sent = HELLO + frame(struct.pack("!H", 1000), FIN | 0x40 | kind) + ping
        yield Row(f"a reserved bit of a {name}", sent, HEARD, 1002)
    sent = HELLO + frame(b"*", FIN | 0x40 | TEXT) + ping
    yield Row("a reserved bit, 1 byte a write", sent, HEARD, 1002, 1)
    for kind in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"*"):
            sent = HELLO + frame(payload, FIN | kind) + ping
            yield Row(f"opcode {kind} with {len(payload)} bytes", sent, HEARD, 1002)


def _fragments() -> Iterator[Row]:
    first, last = frame(b"hel", TEXT), frame(b"lo", FIN | CONTINUATION)
    ping, pong = frame(b"ping", FIN | PING), (PONG, b"ping")
    for row in (
        Row("a ping in fragments", frame(b"", PING) + last, (), 1002),
        Row("a pong in fragments", frame(b"", PONG) + last, (), 1002),
        Row("a close in fragments", frame(b"", CLOSE) + last, (), 1002),
        Row("two fragments", first + last, HEARD),
        Row("two fragments, a ping between", first + ping + last, (pong, *HEARD)),
        Row("two fragments, a pong between", first + frame(b"", FIN | PONG) + last, HEARD),
        Row(
            "five fragments, pings between",
            frame(b"1", TEXT) + ping + frame(b"2", 0) + frame(b"3", 0) + ping + frame(b"4", 0) + frame(b"5", FIN),
            (pong, pong, (TEXT, b"12345")),
        ),
        Row("binary fragments", frame(b"\xff", BINARY) + frame(b"\xfe", FIN), ((BINARY, b"\xff\xfe"),)),
        Row("empty fragments", frame(b"", TEXT) + frame(b"", 0) + frame(b"", FIN), ((TEXT, b""),)),
        Row("an empty fragment first", frame(b"", TEXT) + frame(b"hello", FIN), HEARD),
        Row("two messages in fragments", (first + last) * 2, HEARD * 2),
        Row("a last fragment of nothing", last + HELLO, (), 1002),
        Row("a fragment of nothing", frame(b"lo", CONTINUATION) + last + HELLO, (), 1002),
        Row("a last fragment too many", first + last + last, HEARD, 1002),
        Row("a fragment too many", first + last + frame(b"lo", CONTINUATION) + last, HEARD, 1002),
        Row("text within a message", first + HELLO, (), 1002),
        Row("binary within a message", first + frame(b"*", FIN | BINARY), (), 1002),
        Row("a message begun within another", first + first + last, (), 1002),
        Row(
            "text behind an empty fragment",
            frame(b"", TEXT) + HELLO,
            (),
            1002,
            aiohttp=(HEARD, None, _NO_EMPTY_FRAGMENT),
        ),
        Row("a close within a message", first + frame(struct.pack("!H", 1000), FIN | CLOSE) + last, (), 1000),
    ):
        yield from _chopped(row, 1)


# The ends of UTF-8's ranges, what is no character of any script, and Greek.
VALID = (
    *("\x00", "\x7f", "\x80", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff"),
    *("\U00010000", "\U0001fffe", "\U0010ffff", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε"),
)
INVALID = {
    "a continuation alone": b"\x80",
    "the last continuation alone": b"\xbf",
    "continuations alone": b"\x80\xbf\x80\xbf",
    "starts of two bytes alone": b"\xc2 \xdf ",
    "starts of three bytes alone": b"\xe0 \xef ",
    "starts of four bytes alone": b"\xf0 \xf4 ",
    "two bytes cut": b"\xdf",
    "three bytes cut": b"\xef\xbf",
    "four bytes cut": b"\xf0\x90\x80",
    "four bytes cut in the middle": b"ok \xf0\x90\x80 ok",
    "what never is UTF-8": b"\xfe\xff",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "an over-long slash of two": b"\xc0\xaf",
    "an over-long slash of three": b"\xe0\x80\xaf",
    "an over-long slash of four": b"\xf0\x80\x80\xaf",
    "the longest of two that is over-long": b"\xc1\xbf",
    "the longest of three that is over-long": b"\xe0\x9f\xbf",
    "the longest of four that is over-long": b"\xf0\x8f\xbf\xbf",
    "an over-long NUL": b"\xc0\x80",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "over U+10FFFF": b"\xf4\x90\x80\x80",
    "Greek, then a surrogate": "κόσμε".encode() + b"\xed\xa0\x80edited",
}


def _utf8() -> Iterator[Row]:
    for text in VALID:
        data = text.encode()
        cuts = [data[at : at + 1] for at in range(len(data))]
        split = frame(b"", TEXT) + b"".join(frame(cut, CONTINUATION) for cut in cuts) + frame(b"", FIN)
        yield from _chopped(Row(f"text {text!a}", frame(data), ((TEXT, data),)), 1)
        yield Row(f"text {text!a} in fragments of a byte", split, ((TEXT, data),))
    for what, data in INVALID.items():
        yield Row(what, HELLO + frame(data), HEARD, 1007)
        split = b"".join(frame(data[at : at + 1], 0 if at else TEXT) for at in range(len(data))) + frame(b"", FIN)
        yield Row(f"{what}, in fragments of a byte", split, (), 1007)
    everything = b"".join(INVALID.values())
    yield Row("all of these in binary", frame(everything, FIN | BINARY), ((BINARY, everything),))


MAY_CLOSE = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
MAY_NOT_CLOSE = (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
_ONE_CODE = "it answers every close that it takes with 1000"


def _closes() -> Iterator[Row]:
    def close(code: int, reason: bytes = b"") -> bytes:
        return frame(struct.pack("!H", code) + reason, FIN | CLOSE)

    for code in MAY_CLOSE:
        yield Row(f"a close with {code}", close(code, b"going"), (), code, aiohttp=((), 1000, _ONE_CODE))
    for code in MAY_NOT_CLOSE:
        passes = code == 1006 or code >= 5000
        differs = ((), 1000, "its parser lets 1006 pass, and what is over 4999") if passes else None
        yield Row(f"a close with {code}", close(code), (), 1002, aiohttp=differs)
    for row in (
        Row("a close without a code", frame(b"", FIN | CLOSE), (), 1000),
        Row("a close with a code alone", close(1000), (), 1000),
        Row("a close with half a code", frame(b"\x03", FIN | CLOSE), (), 1002),
        Row("a close with a reason of 123", close(1000, b"*" * 123), (), 1000),
        Row("a close with a reason of 124", close(1000, b"*" * 124), (), 1002),
        Row("a close whose reason is no UTF-8", close(1000, b"\xce\xba\xed\xa0\x80"), (), 1007),
        Row("a close whose reason is cut", close(1000, b"\xce"), (), 1007),
        Row("two closes", close(1000) * 2, (), 1000),
        Row("text, then a close", HELLO + close(1000), HEARD, 1000),
        Row("text behind a close", close(1000) + HELLO, (), 1000),
        Row("a ping behind a close", close(1000) + frame(b"", FIN | PING), (), 1000),
        Row("a ping behind a refused frame", frame(b"", FIN | 3) + frame(b"", FIN | PING), (), 1002),
    ):
        yield from _chopped(row, 1)


def _sizes() -> Iterator[Row]:
    for kind in (TEXT, BINARY):
        name = "text" if kind == TEXT else "binary"
        whole = b"*" * MOST
        half, rest = frame(whole[: MOST // 2], kind), frame(whole[MOST // 2 :], FIN)
        more = frame(whole[MOST // 2 :] + b"*", FIN)
        for row in (
            Row(f"{name} of the most", frame(whole, FIN | kind), ((kind, whole),)),
            Row(f"{name} of the most in fragments", half + rest, ((kind, whole),)),
            Row(f"{name} of one more", frame(whole + b"*", FIN | kind), (), 1009),
            Row(f"{name} of one more in fragments", half + more, (), 1009),
        ):
            yield from _chopped(row, 4096)
    small = b"".join(frame(b"*" * 1000, CONTINUATION) for _ in range(MOST // 1000))
    yield Row("many fragments of the most", frame(b"", TEXT) + small + frame(b"", FIN), ((TEXT, b"*" * MOST),))
    yield Row("many fragments of one more", frame(b"", TEXT) + small + frame(b"*", FIN), (), 1009)
    head = bytes([FIN | BINARY, 0x80 | 127])
    yield Row("a head that says one more", head + struct.pack("!Q", MOST + 1), (), 1009)
    yield Row("a head that says 2^63 - 1", head + struct.pack("!Q", (1 << 63) - 1), (), 1009)
    yield Row("a head that says all there is", head + b"\xff" * 8, (), 1009)


# The suite's numbers of the groups; 3 and 4 are one here, 8 has no cases, and 10 is a part of 1.
GROUPS = {
    "1": tuple(_framing()),
    "2": tuple(_pings()),
    "3-4": tuple(_reserved()),
    "5": tuple(_fragments()),
    "6": tuple(_utf8()),
    "7": tuple(_closes()),
    "9": tuple(_sizes()),
}
