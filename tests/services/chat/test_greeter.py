from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from services import connections
from services.chat.greeter import read_plain
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


def test_a_plain_head_is_read() -> None:
    """Know a header by its name in lower case, and what the query says."""
    plain = read_plain(head())

    assert plain is not None
    assert plain.query == {"token": "a.b-c_d", "vsn": "2.0.0"}
    assert plain.headers["sec-websocket-key"] == "dGhlIHNhbXBsZSBub25jZQ=="
    assert plain.headers["x-forwarded-for"] == "6.6.6.6, 7.7.7.7"


@pytest.mark.parametrize(
    "unclear",
    [
        head()[:-1],
        head() + b"\x81",
        head() + head(),
        head().replace(b"\r\n", b"\n"),
        head().replace(b"GET", b"HEAD"),
        head().replace(b"HTTP/1.1", b"HTTP/1.0"),
        head().replace(b"/socket/", b"//socket/"),
        head().replace(b"token=", b"token=%41"),
        head().replace(b"token=", b"token=+"),
        head().replace(b"&vsn", b"&token"),
        head().replace(b"&vsn", b"&&vsn"),
        head().replace(b"?token", b"?#token"),
        head(host="Host: \xe9"),
        head(host="Host: a\x00b"),
        head(host="Host: a\r\n b"),
        head(host="Host : a"),
        head(host=""" """),
        head(host="Upgrade: websocket"),
        head(host="Content-Length: 0"),
        head(host="Transfer-Encoding: chunked"),
        head(host="Host: " + "x" * 9000),
        head(*(f"X-{number}: 1" for number in range(64))),
        head(upgrade=""),
        head(upgrade="Upgrade: h2c"),
        head(connection="Connection: close"),
        head(connection="Connection: close, Upgrade"),
        head(sec_websocket_version="Sec-WebSocket-Version: 8"),
        head(sec_websocket_key="Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"),
        head(sec_websocket_key=""),
        b"",
        b"\r\n\r\n",
        b"\x16\x03\x01",
    ],
    ids=str,
)
def test_what_leaves_a_question_is_left_to_aiohttp(unclear: bytes) -> None:
    """Two readings of one request are how a gateway and a service are told different things."""
    assert read_plain(unclear) is None


@given(at=st.integers(0, len(head())), cut=st.integers(0, 12), text=st.binary(max_size=12))
def test_what_is_read_is_read_as_aiohttp_reads_it(at: int, cut: int, text: bytes) -> None:
    """Whatever somebody makes of a good head: where it is plain, aiohttp takes it, and for the same."""
    changed = head()[:at] + text + head()[at + cut :]
    plain = read_plain(changed)
    if plain is None:
        return
    loop = asyncio.new_event_loop()
    try:
        parser = HttpRequestParser(BaseProtocol(loop), loop, 1 << 16, max_headers=64)
        [(message, _)], is_upgraded, tail = parser.feed_data(changed)
    finally:
        loop.close()

    assert (message.method, message.url.path, is_upgraded, tail) == ("GET", "/socket/websocket", True, b"")
    assert dict(message.url.query) == plain.query
    assert {name.lower(): value for name, value in message.headers.items()} == plain.headers
    assert len(message.headers) == len(plain.headers)


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Collect aiohttp's handlers of the public port."""
    made: list[Any] = []
    make = connections._Server.make_handler

    def watched(server: Any, guest: Any = None) -> Any:
        made.append(guest)
        return make(server, guest)

    monkeypatch.setattr(connections._Server, "make_handler", watched)
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


@pytest.mark.parametrize(
    ("parts", "made"), [([head()], 0), ([head()[:20], head()[20:]], 1)], ids=["one segment", "two segments"]
)
async def test_a_socket_is_logged_and_counted_whoever_read_its_head(
    chat: ChatService, handlers: list[Any], caplog: pytest.LogCaptureFixture, parts: list[bytes], made: int
) -> None:
    """Tell the same of both, and that aiohttp is not asked for a head that came whole."""
    ada = await chat.meet("Ada")
    caplog.set_level(logging.INFO)
    caplog.clear()
    async with asking(ada, *parts) as status:
        assert (status, len(handlers)) == (101, made)
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
