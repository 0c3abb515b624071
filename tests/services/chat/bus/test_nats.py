"""The link over NATS, with real servers that go away, come back, refuse and are full."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from services.chat.bus import RoomNote, Told, nats, nats_client, tell_message
from services.chat.bus.nats import NatsLink
from services.chat.bus.order import Order
from services.chat.bus.shared import SharedBus
from services.errors import Unavailable
from services.settings import Secret
from tests.services.chat.bus.conftest import MakeNats
from tests.services.chat.bus.ear import Ear, running
from tests.services.chat.bus.server import NatsServer
from tests.services.chat.bus.test_order import Table, settled
from tests.services.storage.certificates import Authority

SUBJECT = "stampchat.test.chat"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back at once."""
    monkeypatch.setattr(nats, "RETRY_SECONDS", 0.05)


@pytest.fixture(autouse=True)
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Keep whatever anybody logs."""
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture(autouse=True)
async def _nothing_is_left() -> AsyncIterator[None]:
    """Have every task ended that a link, or the library under it, has begun."""
    yield
    async with asyncio.timeout(60):
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  # what was cancelled has yet to end
            await asyncio.sleep(0.005)


@pytest.fixture
async def watcher(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Be somebody else on the same server."""
    client = Client()
    await client.connect(nats_server.url)
    yield client
    await client.close()


def link_to(*servers: NatsServer, login: str = "") -> NatsLink:
    """Make a link to one of some servers."""
    return NatsLink(Secret(",".join(server.url.replace("//", f"//{login}") for server in servers)), "test")


def lines(records: pytest.LogCaptureFixture, message: str) -> list[dict[str, Any]]:
    """Return the fields of each line that says something."""
    return [getattr(record, "fields", {}) for record in records.records if record.message == message]


async def reason(link: NatsLink, ear: Ear, part: str) -> None:
    """Wait until the link says that it is down, and why."""

    def says() -> bool:
        return part in link._fault

    await ear.until(says)
    with pytest.raises(Unavailable) as raised:
        await link.check()
    assert raised.value.message.startswith("the bus is down: ")


class TestAway:
    """A server that is not there, or no longer."""

    async def test_a_server_that_comes_later_is_found(
        self, make_nats: MakeNats, records: pytest.LogCaptureFixture
    ) -> None:
        """What was said before is said then; that it is away stands in the log once."""
        server = make_nats()
        link = link_to(server)
        link.send(b'{"n":1}')
        async with running(link) as ear:
            await reason(link, ear, f"NATS at 127.0.0.1:{server.port}: [Errno ")
            await asyncio.to_thread(server.start)
            await ear.has(b'{"n":1}')
            await link.check()

        assert ear.events == ["opened", "closed"]
        assert len(lines(records, "the bus is down")) == 1
        assert len(lines(records, "the bus is up")) == 1

    @pytest.mark.parametrize("end", ["kill", "stop"])
    async def test_a_server_that_starts_anew_under_fire_loses_nothing_of_who_sends(
        self, nats_server: NatsServer, end: str
    ) -> None:
        """What was on its way is said again, in order; who heard some of it already hears it twice at most."""
        link = link_to(nats_server)
        sent: list[bytes] = []

        async def send() -> None:
            while True:
                for _ in range(50):
                    sent.append(b'{"n":%d}' % len(sent))
                    link.send(sent[-1])
                await asyncio.sleep(0.001)

        async with running(link) as ear:
            await ear.was_opened()
            sending = asyncio.create_task(send())
            for times in (2, 3):
                await ear.until(lambda: len(ear.frames) > 1000)
                await asyncio.to_thread(getattr(nats_server, end))
                await asyncio.to_thread(nats_server.start)
                await ear.was_opened(times)
            sending.cancel()
            await ear.has(sent[-1])

        heard = list(dict.fromkeys(ear.frames))
        assert heard == sent
        assert len(ear.frames) <= len(sent) + 2 * nats.MAX_BATCH
        assert ear.events == ["opened", "closed"] * 3

    async def test_what_waits_is_bounded(self, make_nats: MakeNats) -> None:
        """The newest is kept."""
        server = make_nats()
        link = link_to(server)
        for number in range(nats.MAX_WAITING + 5):
            link.send(b'{"n":%d}' % number)
        async with running(link) as ear:
            await asyncio.to_thread(server.start)
            await ear.has_had(nats.MAX_WAITING)

        assert ear.frames == [b'{"n":%d}' % number for number in range(5, nats.MAX_WAITING + 5)]

    async def test_a_server_that_answers_nothing_is_left(
        self, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its connections stay open; that our own words do not come back shows it."""
        monkeypatch.setattr(nats, "ECHO_SECONDS", 0.3)
        monkeypatch.setattr(nats_client, "OPEN_SECONDS", 0.3)
        link = link_to(nats_server)
        async with running(link) as ear:
            await ear.was_opened()
            with nats_server.frozen():
                link.send(b'{"n":1}')
                await reason(link, ear, "what we say does not come back")
                await reason(link, ear, "no answer in time")
            await ear.has(b'{"n":1}')

        assert ear.events[:3] == ["opened", "closed", "opened"]

    async def test_a_server_that_answers_nothing_is_left_though_nobody_speaks(
        self, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is asked, too."""
        monkeypatch.setattr(nats_client, "PING_SECONDS", 0.05)
        link = link_to(nats_server)
        async with running(link) as ear:
            await ear.was_opened()
            with nats_server.frozen():
                await ear.was_closed()
            await ear.until(lambda: ear.events[-1] == "opened")

    async def test_one_of_several_servers_is_enough(self, make_nats: MakeNats) -> None:
        """Whichever lives."""
        servers = [make_nats(), make_nats(), make_nats()]
        link = link_to(*servers)
        async with running(link) as ear:
            await reason(link, ear, "; ")
            for server in servers:
                assert f"NATS at 127.0.0.1:{server.port}: " in link._fault
            for times, server in enumerate(servers, start=1):
                await asyncio.to_thread(server.start)
                await ear.was_opened(times)
                link.send(b'{"n":%d}' % times)
                await ear.has(b'{"n":%d}' % times)
                await asyncio.to_thread(server.kill)

    async def test_a_server_that_drains_is_left_when_it_closes(
        self, make_nats: MakeNats, records: pytest.LogCaptureFixture
    ) -> None:
        """It says so, and the log, too."""
        first = make_nats(lame_duck_duration="30s", lame_duck_grace_period="100ms")
        await asyncio.to_thread(first.start)
        second = make_nats()
        link = link_to(first, second)
        async with running(link) as ear:
            await ear.was_opened()
            await asyncio.to_thread(second.start)
            first.drain()
            await ear.was_opened(2)
            link.send(b'{"n":1}')
            await ear.has(b'{"n":1}')

        assert lines(records, "a server of the bus drains") == [{"server": f"127.0.0.1:{first.port}"}]
        (down,) = [line for line in lines(records, "the bus is down") if "drains" in line["reason"]]
        assert down["reason"].endswith(", after it had said that it drains")
        assert lines(records, "the bus is up")[-1] == {"server": f"127.0.0.1:{second.port}"}


class TestRefusal:
    """A server that is there and refuses."""

    @pytest.mark.parametrize("login", ["chat:{}@", "{}@", "chat@", ""], ids=["password", "token", "name", "nothing"])
    async def test_a_wrong_password_is_said_and_never_shown(
        self, make_nats: MakeNats, records: pytest.LogCaptureFixture, login: str
    ) -> None:
        """Once; and when it is right on the server's side, all is well."""
        right, wrong = secrets.token_hex(20), secrets.token_hex(20)
        server = make_nats(authorization={"user": "chat", "password": right})
        await asyncio.to_thread(server.start)
        link = link_to(server, login=login.format(wrong))
        async with running(link) as ear:
            await reason(link, ear, "Authorization Violation: it takes no such name and password, or token")
            fault = link._fault
            await asyncio.to_thread(server.restart, authorization={})
            await ear.was_opened()

        assert wrong not in fault
        assert [line["reason"] for line in lines(records, "the bus is down")].count(fault) == 1
        assert wrong not in records.text
        assert wrong not in repr([vars(record) for record in records.records])

    @pytest.mark.parametrize("password", ["simple", "p@ss:w/o?r#d%41+ü"])
    async def test_a_name_and_a_password_may_hold_anything(self, make_nats: MakeNats, password: str) -> None:
        """As they are written in addresses everywhere: %XX."""
        server = make_nats(authorization={"user": "c@t", "password": password})
        await asyncio.to_thread(server.start)
        written = "".join(f"%{byte:02X}" for byte in password.encode())

        async with running(link_to(server, login=f"c%40t:{written}@")) as ear:
            await ear.was_opened()

    async def test_a_token_will_do(self, make_nats: MakeNats) -> None:
        """In place of a name, without a password."""
        server = make_nats(authorization={"token": "t@ken"})
        await asyncio.to_thread(server.start)

        async with running(link_to(server, login="t%40ken@")) as ear:
            await ear.was_opened()

    @pytest.mark.parametrize("url", ["nats://chat:se/cret@localhost:4222", "nats://chat:secret@", "nats://[::1", ""])
    async def test_an_address_that_cannot_be_read_is_not_quoted(
        self, url: str, records: pytest.LogCaptureFixture
    ) -> None:
        """Parts of it may be a password."""
        link = NatsLink(Secret(url), "test")
        async with running(link) as ear:
            await reason(link, ear, "an address of NATS cannot be read; write")

        assert "cret" not in records.text
        assert lines(records, "the bus failed") == []

    @pytest.mark.parametrize(
        "allowed", [{"publish": "elsewhere", "subscribe": ">"}, {"publish": ">", "subscribe": "elsewhere"}]
    )
    async def test_what_is_not_allowed_is_said(self, make_nats: MakeNats, allowed: dict[str, str]) -> None:
        """The connection would stay; but nobody heard us, or we heard nobody."""
        server = make_nats(authorization={"users": [{"user": "chat", "password": "secret", "permissions": allowed}]})
        await asyncio.to_thread(server.start)
        link = link_to(server, login="chat:secret@")
        async with running(link) as ear:
            await reason(link, ear, "permissions violation for ")
            assert SUBJECT in link._fault
            everything = {"publish": ">", "subscribe": ">"}
            users = {"users": [{"user": "chat", "password": "secret", "permissions": everything}]}
            await asyncio.to_thread(server.restart, authorization=users)
            await ear.was_opened()

    async def test_a_server_that_is_full_is_asked_again(self, make_nats: MakeNats) -> None:
        """Until there is room."""
        server = make_nats(max_connections=1)
        await asyncio.to_thread(server.start)
        first, second = link_to(server), link_to(server)
        async with running(second) as ear:
            async with running(first) as other:
                await ear.until(lambda: ear.events or other.events)
                loser, at_loser = (first, other) if ear.events else (second, ear)
                await reason(loser, at_loser, "maximum connections exceeded")
            await ear.was_opened()


class TestSizes:
    """Frames, and what the server takes."""

    async def test_the_limit_is_the_servers(self, make_nats: MakeNats, records: pytest.LogCaptureFixture) -> None:
        """What was written for another is dropped, and said; what is behind it is sent."""
        server = make_nats(max_payload=2048)
        link = link_to(server)
        assert link.max_bytes == nats.CAREFUL_BYTES
        link.send(b"x" * link.max_bytes)
        link.send(b'{"n":1}')
        await asyncio.to_thread(server.start)
        async with running(link) as ear:
            await ear.has(b'{"n":1}')
            assert link.max_bytes == 2048 - nats.MARGIN_BYTES
            link.send(b"y" * link.max_bytes)
            await ear.has(b"y" * link.max_bytes)

        assert ear.events == ["opened", "closed"]
        (line,) = lines(records, "a frame is larger than the bus takes, and is dropped")
        assert (line["bytes"], line["most"]) == (nats.CAREFUL_BYTES, 2048)

    async def test_the_limit_is_never_above_ours(self, nats_server: NatsServer) -> None:
        """A mebibyte would hold up what is behind it."""
        link = link_to(nats_server)
        async with running(link) as ear:
            await ear.was_opened()

            assert link.max_bytes == 64 * 1024

    async def test_a_server_that_takes_less_than_it_said_is_asked_anew(self, make_nats: MakeNats) -> None:
        """It ends the connection; what fits goes on."""
        server = make_nats(max_payload=32768)
        await asyncio.to_thread(server.start)
        link = link_to(server)
        async with running(link) as ear:
            await ear.was_opened()
            await asyncio.to_thread(server.reload, max_payload=1024)
            link.send(b"x" * 20000)
            link.send(b'{"n":1}')
            await ear.was_opened(2)
            await ear.has(b'{"n":1}')

        assert link.max_bytes == 1024 - nats.MARGIN_BYTES
        assert b"x" * 20000 not in ear.frames

    async def test_replicas_on_a_server_that_takes_little_tell_each_other_all(self, make_nats: MakeNats) -> None:
        """In pieces of its size, though a frame may be larger than it takes."""
        server = make_nats(max_payload=1024)
        await asyncio.to_thread(server.start)
        heard: list[list[RoomNote]] = [[], []]
        table = Table()
        buses = [
            SharedBus(link_to(server), told.append, Order(told.append, table.read, tell_message)) for told in heard
        ]
        for bus in buses:
            bus.start()
        try:
            await settled(lambda: [bus.count_replicas() for bus in buses] == [2, 2])
            buses[0].publish(Told("room:a", "edit", "\N{SNOWMAN}" * 5000))
            await settled(lambda: all(heard))
        finally:
            for bus in buses:
                await bus.close()

        texts = [msgspec.json.decode(note.payload) for told in heard for note in told if isinstance(note, Told)]
        assert texts == ["\N{SNOWMAN}" * 5000] * 2


class TestHearing:
    """What comes in."""

    async def test_whoever_is_too_slow_begins_anew(
        self, nats_server: NatsServer, watcher: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the library dropped is a loss like any other."""
        monkeypatch.setattr(nats_client, "MAX_PENDING", 10)
        link = link_to(nats_server)
        async with running(link) as ear:
            await ear.was_opened()
            for number in range(2000):
                await watcher.publish(SUBJECT, b'{"n":%d}' % number)
            await ear.was_opened(2)

        assert ear.events[:3] == ["opened", "closed", "opened"]

    async def test_what_others_ask_themselves_is_no_frame(self, nats_server: NatsServer, watcher: Client) -> None:
        """Nor is anything brought to a link that is not up."""
        link = link_to(nats_server)
        async with running(link) as ear:
            await ear.was_opened()
            async with running(link_to(nats_server)) as other:
                await other.was_opened()
            await watcher.publish(SUBJECT, b'{"n":1}')
            await ear.has(b'{"n":1}')

        assert ear.frames == [b'{"n":1}']
        assert other.frames == []

    async def test_what_others_say_is_no_sign_that_we_are_heard(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only our own words are; and before they have come back, nothing is brought."""
        monkeypatch.setattr(nats, "ECHO_SECONDS", 0.3)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'INFO {"server_id":"x","version":"2.0","max_payload":1048576}\r\n')
            async for line in reader:
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
                if line.startswith(b"PUB"):
                    writer.write(b'MSG %s 1 stampchat.other.0 7\r\n{"n":1}\r\n' % SUBJECT.encode())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        link = NatsLink(Secret(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"), "test")
        async with server, running(link) as ear:
            await reason(link, ear, "what we say does not come back")

        assert ear.events == []
        assert ear.frames == []


class TestTls:
    """Addresses that begin with tls://."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> dict[str, str]:
        """Make a certificate for this machine, and who vouches for it."""
        authority = Authority(tmp_path, "authority")
        certificate, key = authority.issue("localhost")
        return {"cert_file": str(certificate), "key_file": str(key), "ca_file": str(authority.file)}

    async def test_a_certificate_that_is_trusted_will_do(
        self, make_nats: MakeNats, certificate: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By whatever the machine trusts."""
        server = make_nats(tls=certificate, authorization={"user": "chat", "password": "secret"})
        await asyncio.to_thread(server.start)
        monkeypatch.setenv("SSL_CERT_FILE", certificate["ca_file"])
        link = NatsLink(Secret(f"tls://chat:secret@localhost:{server.port}"), "test")
        async with running(link) as ear:
            await ear.was_opened()
            link.send(b'{"n":1}')
            await ear.has(b'{"n":1}')
            await asyncio.to_thread(server.restart)
            await ear.was_opened(2)

    async def test_a_server_that_leaves_tls_to_us_is_asked_for_it(
        self, make_nats: MakeNats, certificate: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The library would do without."""
        server = make_nats(tls=certificate, allow_non_tls=True)
        await asyncio.to_thread(server.start)
        link = NatsLink(Secret(f"tls://localhost:{server.port}"), "test")
        async with running(link) as ear:
            await reason(link, ear, "its certificate is not trusted: ")
            monkeypatch.setenv("SSL_CERT_FILE", certificate["ca_file"])
            await ear.was_opened()

    async def test_nobody_is_told_a_password_in_the_clear(self) -> None:
        """Nor anything else: whoever stands between may say that there is no TLS."""
        heard = bytearray()
        calls = 0

        async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal calls
            calls += 1
            writer.write(b'INFO {"server_id":"x","version":"2.0","max_payload":1048576,"auth_required":true}\r\n')
            heard.extend(await reader.read())
            writer.close()

        server = await asyncio.start_server(pretend, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        link = NatsLink(Secret(f"tls://chat:secret@127.0.0.1:{port}"), "test")
        async with server, running(link) as ear:
            await reason(link, ear, "it offers no TLS, and its address begins with tls://")
            await ear.until(lambda: calls > 1)

        assert heard == b""


class TestEnd:
    """Where a replica ends."""

    async def test_close_has_all_sent(self, nats_server: NatsServer, watcher: Client) -> None:
        """What was said in the last moment, too."""
        came: list[bytes] = []
        subscription = await watcher.subscribe(SUBJECT)
        link = link_to(nats_server)
        async with running(link) as ear:
            await ear.was_opened()
            for number in range(1000):
                link.send(b'{"n":%d}' % number)
            await link.close()
            assert not link._waiting

        while len(came) < 1000:
            message = await subscription.next_msg(timeout=60)
            if message.data.startswith(b"{"):
                came.append(message.data)
        assert came == [b'{"n":%d}' % number for number in range(1000)]

    async def test_close_waits_no_longer_than_a_moment(
        self, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A server that reads nothing holds nobody up, and nothing of the connection stays."""
        for module, name in ((nats, "CLOSE_SECONDS"), (nats_client, "LEAVE_SECONDS")):
            monkeypatch.setattr(module, name, 0.05)
        link, descriptors = link_to(nats_server), Path("/dev/fd")
        before = len(list(descriptors.iterdir()))  # noqa: ASYNC240  # of the kernel, which never blocks
        async with AsyncExitStack() as stack:
            ear = await stack.enter_async_context(running(link))
            await ear.was_opened()
            with nats_server.frozen():
                for _ in range(2000):
                    link.send(b"x" * 60000)
                await link.close()
                assert link._waiting
                assert ear.events == ["opened"]
                await stack.aclose()
                await ear.until(lambda: len(asyncio.all_tasks()) == 1)
                await ear.until(lambda: len(list(descriptors.iterdir())) == before)

        assert ear.events == ["opened", "closed"]

    async def test_no_transaction_carries_anything(self, nats_server: NatsServer) -> None:
        """The link is not the database's."""
        link = link_to(nats_server)

        assert link.notified is None
        await link.announce(None, [b"{}"])  # type: ignore[arg-type]
