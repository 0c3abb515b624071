from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser, RawRequestMessage
from hypothesis import given
from hypothesis import strategies as st

from services.chat.greeter import is_plain
from services.chat.handshake import read_handshake
from services.connections import take_refusal
from services.errors import Malformed
from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.raw import SECONDS

LINES = (
    "GET /socket/websocket?token=a.b-c_d&vsn=2.0.0 HTTP/1.1",
    "Host: chat.example.org",
    "Upgrade: WebSocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: phoenix, other",
    "X-Forwarded-For: 6.6.6.6, 7.7.7.7",
    "Origin: https://chat.example.org",
)


def head(*more: str, **changes: str) -> bytes:
    """Make a head, with more lines; a change replaces the header whose name it is, and "" leaves it out."""
    named = {name.replace("_", "-"): line for name, line in changes.items()}
    kept = (named.get(line.partition(":")[0].lower(), line) for line in (*LINES, *more))
    return "".join(f"{line}\r\n" for line in (*(line for line in kept if line), "")).encode()


def read(raw: bytes) -> RawRequestMessage | None:
    """Return what aiohttp's parser makes of bytes, where that is one request."""
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 1 << 16, max_headers=64)
        messages, _, _ = parser.feed_data(raw)
    except HttpProcessingError:
        return None
    finally:
        loop.close()
    return messages[0][0] if len(messages) == 1 else None


@pytest.mark.parametrize(
    "plain",
    [
        head(),
        head() + b"\x81",
        head(connection="Connection: upgrade", origin="", sec_websocket_protocol="").replace(b"&vsn=2.0.0", b""),
        head().replace(b"token=", b"token=%41"),
        head().replace(b"?token=a.b-c_d&vsn=2.0.0", b""),
        head("X-Forwarded-For: 8.8.8.8"),
    ],
    ids=str,
)
def test_who_asks_as_nearly_everybody_is_taken(plain: bytes) -> None:
    """However aiohttp's parser has read the rest."""
    message = read(plain)
    assert message is not None
    assert is_plain(message)


@pytest.mark.parametrize(
    "odd",
    [
        head().replace(b"GET", b"POST"),
        head().replace(b"HTTP/1.1", b"HTTP/1.0"),
        head().replace(b"/socket/", b"//socket/"),
        head().replace(b"/socket/", b"/%73ocket/"),
        head().replace(b"/socket/", b"http://chat.example.org/socket/"),
        head().replace(b"/websocket?", b"/websocket/?"),
        head("Upgrade: websocket"),
        head("Sec-WebSocket-Protocol: phoenix"),
        head("Sec-WebSocket-Version: 13"),
        head("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        head("Content-Length: 0"),
        head("Transfer-Encoding: chunked"),
        head("Expect: 100-continue"),
        head(upgrade=""),
        head(upgrade="Upgrade: tcp"),
        head(connection=""),
        head(connection="Connection: close"),
        head(connection="Connection: close, Upgrade"),
        head(sec_websocket_version="Sec-WebSocket-Version: 8"),
        head(sec_websocket_version=""),
        head(sec_websocket_key="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"),
        head(sec_websocket_key="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ\xe9=="),
        head(sec_websocket_key=""),
    ],
    ids=str,
)
def test_what_leaves_a_question_is_left_to_aiohttp(odd: bytes) -> None:
    """Nobody but aiohttp answers what it may see otherwise."""
    message = read(odd)
    assert message is not None
    assert not is_plain(message)


@given(at=st.integers(0, len(head())), cut=st.integers(0, 12), text=st.binary(max_size=12))
def test_who_is_taken_would_be_answered_so_by_aiohttp(at: int, cut: int, text: bytes) -> None:
    """Whatever somebody makes of a good head: where it is plain, aiohttp agrees to it, and to the same subprotocol."""
    message = read(head()[:at] + text + head()[at + cut :])
    if message is None or not is_plain(message):
        return
    request = cast("web.Request", SimpleNamespace(headers=message.headers, _message=message, remote=""))
    ready = web.WebSocketResponse(protocols=("phoenix",), compress=False).can_prepare(request)
    assert ready.ok
    with suppress(Malformed):
        handshake = read_handshake(message.headers, message.url.query)
        assert ready.protocol == (handshake.subprotocols[0] if handshake.subprotocols else None)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[web.Request]:
    """Collect what aiohttp made requests of."""
    made: list[web.Request] = []

    def watched(request: web.Request) -> Exception | None:
        made.append(request)
        return take_refusal(request)

    monkeypatch.setattr("services.chat.socket.take_refusal", watched)
    return made


@asynccontextmanager
async def asking(person: Person, *parts: bytes) -> AsyncIterator[int]:
    """Ask for a socket in bytes, a segment each; give the status."""
    host, port = person.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part.replace(b"a.b-c_d", person.token.encode()))
        await writer.drain()
        await asyncio.sleep(0.05 * (len(parts) - 1))
    said = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)
    yield int(said.split()[1])
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


# What aiohttp alone takes, and takes.
ODD = head("Content-Length: 0")


@pytest.mark.parametrize(
    ("parts", "made"),
    [([head()], 0), ([head()[:20], head()[20:]], 0), ([ODD], 1)],
    ids=["one segment", "two segments", "odd"],
)
async def test_a_socket_is_logged_and_counted_whoever_answered(
    chat: ChatService, requests: list[web.Request], caplog: pytest.LogCaptureFixture, parts: list[bytes], made: int
) -> None:
    """Tell the same of both, and that aiohttp makes no request of a plain handshake."""
    ada = await chat.meet("Ada")
    caplog.set_level(logging.INFO)
    caplog.clear()
    async with asking(ada, *parts) as status:
        assert (status, len(requests)) == (101, made)
        [fields] = [record.__dict__["fields"] for record in caplog.records if record.message == "request"]
        assert fields.pop("milliseconds") >= 0
        assert fields == {
            "port": "public",
            "method": "GET",
            "path": "/socket/websocket",
            "status": 101,
            "client": "7.7.7.7",
        }
        async with ada.client.get(f"{chat.internal}/metrics") as response:
            lines = (await response.text()).splitlines()
        counted = 'stampchat_http_requests_total{method="GET",port="public",route="/socket/websocket",status="101"} 1.0'
        assert {counted, "stampchat_sockets 1.0", "stampchat_connections 0.0"} <= set(lines)


@pytest.mark.parametrize(
    ("request_head", "status", "refused"),
    [
        (head().replace(b"a.b-c_d", b"no.good.token"), 403, ["bad_token"]),
        (head(origin="Origin: https://elsewhere.example.org"), 403, ["bad_origin"]),
        (head(sec_websocket_protocol="Sec-WebSocket-Protocol: other"), 400, []),
    ],
    ids=["token", "origin", "subprotocol"],
)
async def test_who_is_refused_is_answered_by_aiohttp_and_asked_once(
    chat: ChatService, request_head: bytes, status: int, refused: list[str]
) -> None:
    """Count one refusal, and answer as to any request."""
    ada = await chat.meet("Ada")
    async with asking(ada, request_head) as answered:
        assert answered == status
        async with ada.client.get(f"{chat.internal}/metrics") as response:
            lines = [line for line in (await response.text()).splitlines() if "handshakes_refused_total{" in line]
        assert lines == [f'stampchat_handshakes_refused_total{{reason="{code}"}} 1.0' for code in refused]


@pytest.mark.parametrize("handshake", [head(), ODD], ids=["plain", "odd"])
async def test_what_came_behind_the_head_is_the_first_that_a_socket_hears(chat: ChatService, handshake: bytes) -> None:
    """A client of its own mind may send a message before it has read the 101."""
    ada = await chat.meet("Ada")
    text = b'[null,"7","phoenix","heartbeat",{}]'
    host, port = ada.base.removeprefix("http://").split(":")
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection(host, int(port))
        frame = bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text
        writer.write(handshake.replace(b"a.b-c_d", ada.token.encode()) + frame)
        said = await reader.readuntil(b"\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nSec-WebSocket-Protocol: phoenix\r\n" in said
        assert b'"7","phoenix","phx_reply"' in await reader.readuntil(b"}]")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_a_connection_that_has_asked_and_was_refused_may_ask_again(chat: ChatService) -> None:
    """Keep the refusal for its own request."""
    ada = await chat.meet("Ada")
    host, port = ada.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(SECONDS):
        for token, status in (("no.good.token", b"403"), (ada.token, b"101")):
            writer.write(head().replace(b"a.b-c_d", token.encode()))
            said = await reader.readuntil(b"\r\n\r\n")
            assert said.split()[1] == status
            if status == b"403":
                await reader.readuntil(b"}}")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_what_goes_wrong_in_the_greeter_is_an_error_of_ours(
    chat: ChatService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Answer 500, log it, and take the next."""
    ada = await chat.meet("Ada")
    with monkeypatch.context() as patch:
        patch.setattr("services.chat.greeter.address_key", lambda _client: 1 / 0)
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await ada.open()

    assert error.value.status == 500
    assert "a request failed" in caplog.messages
    await ada.open()
