"""Pin the frames of both serializers, byte for byte, without a socket."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.chat.errors import ProtocolError
from services.chat.protocol import Broadcast, Frame, Message, Reply, Version, decode, encode, parse_version

V1, V2 = Version.V1, Version.V2

DECODED: list[tuple[Version, Frame, Message]] = [
    (V2, '["11","1","room:a","phx_join",{}]', Message("room:a", "phx_join", {}, ref="1", join_ref="11")),
    (V2, '[null,"2","phoenix","heartbeat",{}]', Message("phoenix", "heartbeat", {}, ref="2")),
    (V2, '[11,1,"room:a","ping",{"a":[1]}]', Message("room:a", "ping", {"a": [1]}, ref=1, join_ref=11)),
    (V2, '["11","1","room:a","ping",{},"later"]', Message("room:a", "ping", {}, ref="1", join_ref="11")),
    (V2, ' ["11","1","room:é","ping",null]\n', Message("room:é", "ping", None, ref="1", join_ref="11")),
    (V2, b"\x00\x02\x01\x06\x04111room:aping\x00\xff", Message("room:a", "ping", b"\x00\xff", ref="1", join_ref="11")),
    (V2, b"\x00\x00\x00\x07\x09phoenixheartbeat", Message("phoenix", "heartbeat", b"")),
    (V1, '{"topic":"room:a","event":"ping","payload":{},"ref":"1"}', Message("room:a", "ping", {}, ref="1")),
    (
        V1,
        '{"topic":"room:a","event":"phx_join","payload":{},"ref":"1","join_ref":"11"}',
        Message("room:a", "phx_join", {}, ref="1", join_ref="11"),
    ),
]

NOT_FRAMES: list[tuple[Version, Frame, str]] = [
    (V2, "", "must hold JSON"),
    (V2, "[", "must hold JSON"),
    (V2, '["\\ud800","1","room:a","ping",{}]', "must hold JSON"),
    (V2, '["1","1","room:a","ping",' + "[" * 20_000 + "]" * 20_000 + "]", "must hold JSON"),
    (V2, '["1","1","room:a","ping",' + "[" * 40 + "]" * 40 + "]", "nested at most 32 deep"),
    (V2, '{"topic":"room:a","event":"ping","payload":{},"ref":"1"}', "must be the array"),
    (V2, '["1","1","room:a","ping"]', "must be the array"),
    (V2, '["1","1",7,"ping",{}]', "The topic"),
    (V2, '["1","1","","ping",{}]', "The topic"),
    (V2, f'["1","1","room:{"é" * 126}","ping",{{}}]', "The topic"),
    (V2, '["1","1","room:a",null,{}]', "The event"),
    (V2, '["1",true,"room:a","ping",{}]', "The ref"),
    (V2, '[{},"1","room:a","ping",{}]', "The join_ref"),
    (V2, f'["{"1" * 256}","1","room:a","ping",{{}}]', "The join_ref"),
    (V2, '["1",99999999999999999999,"room:a","ping",{}]', "The ref"),
    (V2, b"", "must be a push"),
    (V2, b"\x00\x01\x01", "must be a push"),
    (V2, b"\x01\x02\x01\x06\x04111room:aping", "must be a push"),
    (V2, b"\x00\x02\x01\x06\xff111room:aping", "shorter than its lengths"),
    (V2, b"\x00\x02\x01\x06\x04111room:\xffping", "must be UTF-8"),
    (V1, b"\x00\x02\x01\x06\x04111room:aping", "need vsn 2.0.0"),
    (V1, '["11","1","room:a","phx_join",{}]', "must be an object"),
    (V1, '{"topic":"room:a","event":"ping","payload":{}}', "must be an object"),
]

ENCODED: list[tuple[Version, Message | Reply | Broadcast, Frame]] = [
    (
        V2,
        Reply("room:a", "ok", {}, ref="1", join_ref="11"),
        '["11","1","room:a","phx_reply",{"status":"ok","response":{}}]',
    ),
    (
        V2,
        Reply("phoenix", "error", {"reason": "no"}, ref=2),
        '[null,2,"phoenix","phx_reply",{"status":"error","response":{"reason":"no"}}]',
    ),
    (V2, Message("room:a", "phx_close", {}, ref="11", join_ref="11"), '["11","11","room:a","phx_close",{}]'),
    (V2, Broadcast("room:a", "shout", {"body": "é☕"}), '[null,null,"room:a","shout",{"body":"é☕"}]'),
    (V2, Reply("room:a", "ok", b"\x00\xff", ref="1", join_ref="11"), b"\x01\x02\x01\x06\x02111room:aok\x00\xff"),
    (V2, Message("room:a", "ping", b"\xff", join_ref="11"), b"\x00\x02\x06\x0411room:aping\xff"),
    (V2, Broadcast("room:a", "shout", b"\xff"), b"\x02\x06\x05room:ashout\xff"),
    (
        V1,
        Reply("room:a", "ok", {}, ref="1", join_ref="11"),
        '{"topic":"room:a","event":"phx_reply","payload":{"status":"ok","response":{}},"ref":"1"}',
    ),
    (V1, Broadcast("room:a", "shout", {}), '{"topic":"room:a","event":"shout","payload":{},"ref":null}'),
]


@pytest.mark.parametrize(("version", "frame", "message"), DECODED)
def test_a_client_frame_is_read(version: Version, frame: Frame, message: Message) -> None:
    """Read what Phoenix's clients write."""
    assert decode(frame, version) == message


@pytest.mark.parametrize(("version", "frame", "what"), NOT_FRAMES)
def test_what_is_no_frame_is_refused_and_says_why(version: Version, frame: Frame, what: str) -> None:
    """Refuse with one exception, whatever came."""
    with pytest.raises(ProtocolError, match=re.escape(what)):
        decode(frame, version)


@pytest.mark.parametrize(("version", "value", "frame"), ENCODED)
def test_a_server_frame_is_written(version: Version, value: Any, frame: Frame) -> None:
    """Write what Phoenix's server writes."""
    assert encode(value, version) == frame


@pytest.mark.parametrize(
    ("vsn", "version"),
    [("", V1), ("1.0.0", V1), ("2.0.0", V2)],
)
def test_the_version_is_read(vsn: str, version: Version) -> None:
    """Speak 1.0.0 to a client that names no version."""
    assert parse_version(vsn) is version


@pytest.mark.parametrize("vsn", ["3.0.0", "2", "x", "20.0.0"])
def test_an_unknown_version_is_refused(vsn: str) -> None:
    """Refuse what nobody here speaks."""
    with pytest.raises(ProtocolError):
        parse_version(vsn)
