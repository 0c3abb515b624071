from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from services.connections import GREETER
from services.handover import hand_over
from services.health import Health
from services.metrics import Metrics
from services.port_settings import ConnectionSettings
from services.serve import Apps, listening
from services.settings import Secret
from services.web import create_internal_app, create_public_app, json_response, read_body
from tests.services.conftest import SERVER, Running

SECONDS = 60
SMALL = ConnectionSettings(most=6, most_waiting=3, head_seconds=0.4, body_seconds=0.4)


@dataclass
class Raw:
    """Be a client that writes bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of an answer; the server then closes."""
        raw = await asyncio.wait_for(self.reader.read(), SECONDS)
        head, _, body = raw.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    async def is_cut(self) -> bool:
        """Say, when it has happened, whether the connection ended without a word."""
        try:
            return await asyncio.wait_for(self.reader.read(), SECONDS) == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def open_sample(connections: ConnectionSettings) -> AsyncIterator[Apps]:
    """Open a service with one call that reads a body."""
    server, health, metrics = replace(SERVER, connections=connections), Health(), Metrics("sample")
    public = create_public_app(server=server, health=health, metrics=metrics)

    async def size(request: web.Request) -> web.Response:
        return json_response({"size": len(await read_body(request))})

    public.router.add_post("/size", size)
    internal = create_internal_app(
        server=server, health=health, metrics=metrics, credential=Secret("x" * 32), openapi={}
    )
    yield Apps(public=public, internal=internal, health=health)


HELLO = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


class Greeter:
    """Take whoever says hello; of whoever says oops as well, something goes wrong.

    Attributes:
        tasks: of each whom it took, that of aiohttp's for the connection.
    """

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None] | None] = []

    def greet(self, handler: RequestHandler, message: RawRequestMessage) -> None:
        """Say back what came behind the head."""
        if message.path in {"/hello", "/oops"}:
            assert handler.transport is not None
            transport = handler.transport
            self.tasks.append(handler._task_handler)
            transport.write(hand_over(handler, transport, asyncio.Protocol()))
        if message.path == "/oops":
            raise ValueError("oops")


@pytest.fixture
def greeter() -> Greeter:
    """Give one."""
    return Greeter()


@pytest.fixture
async def sample(greeter: Greeter, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """Run it with little patience, and with a greeter who has the first look."""
    monkeypatch.setattr("services.connections.LINGER_SECONDS", 0.2)
    monkeypatch.setattr("services.door.CROWD_SECONDS", 0.1)
    async with open_sample(SMALL) as apps:
        apps.public[GREETER] = greeter
        async with listening(apps, replace(SERVER, connections=SMALL)) as ports:
            yield Running(public=f"http://127.0.0.1:{ports.public}", internal=f"http://127.0.0.1:{ports.internal}")


@asynccontextmanager
async def connect(sample: Running, first: bytes = b"") -> AsyncIterator[Raw]:
    """Open a connection and say something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sample.public.rpartition(":")[2]))
    writer.write(first)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


async def metric(client: aiohttp.ClientSession, sample: Running, line: str) -> bool:
    """Say whether a line is among the metrics."""
    async with client.get(f"{sample.internal}/metrics") as response:
        return line in (await response.text()).splitlines()


@pytest.mark.parametrize("head", [b"", b"POST /size HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_head_that_does_not_come_ends_its_connection(
    sample: Running, client: aiohttp.ClientSession, head: bytes
) -> None:
    """A byte now and then does not prolong it (slowloris)."""
    async with connect(sample, head) as raw:

        async def drip() -> None:
            while head:
                raw.writer.write(b"x")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        assert await raw.is_cut()
        dripping.cancel()
    assert await metric(client, sample, 'stampchat_connections_cut_total{reason="slow"} 1.0')


async def test_the_next_head_on_a_kept_connection_has_its_time_too(sample: Running) -> None:
    """An idle connection is kept, a head that was begun is not waited for."""
    request = b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    async with connect(sample, request) as raw:
        assert b"200 OK" in await raw.reader.readuntil(b'{"size":2}')
        # Longer than a head may take, and nothing was begun.
        await asyncio.sleep(1.2 * SMALL.head_seconds)
        raw.writer.write(request)
        assert b"200 OK" in await raw.reader.readuntil(b'{"size":2}')
        raw.writer.write(request[:20])
        assert await raw.is_cut()


async def test_a_body_a_byte_at_a_time_is_cut(sample: Running) -> None:
    """The client is told so."""
    async with connect(sample, b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n") as raw:

        async def drip() -> None:
            while True:
                raw.writer.write(b"x")
                await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        status, body = await raw.answer()
        dripping.cancel()
    assert (status, json.loads(body)["error"]["code"]) == (408, "too_slow")


async def test_all_of_a_crowd_that_comes_at_once_are_served(sample: Running) -> None:
    """After a restart thousands are taken before the first of them is read; each has said what it wants."""
    request = b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    place = ("127.0.0.1", int(sample.public.rpartition(":")[2]))
    with contextlib.ExitStack() as stack:
        # Sockets that block: meanwhile the service, in this very thread, takes none of them.
        crowd = [stack.enter_context(socket.create_connection(place, timeout=SECONDS)) for _ in range(SMALL.most)]
        for one in crowd:
            one.sendall(request)
        for one in crowd:
            one.setblocking(False)
            answer = b""
            while not answer.endswith(b'{"size":2}'):
                chunk = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(one, 4096), SECONDS)
                assert chunk
                answer += chunk
            assert b"200 OK" in answer


async def test_of_many_that_say_nothing_the_oldest_goes(sample: Running, client: aiohttp.ClientSession) -> None:
    """Whoever comes with a request is served in the middle of such a flood."""
    async with connect(sample, b"POST") as first, connect(sample), connect(sample), connect(sample):
        assert await first.is_cut()
        async with client.post(f"{sample.public}/size", data=b"{}") as response:
            assert response.status == 200
    assert await metric(client, sample, 'stampchat_connections_cut_total{reason="crowded"} 1.0')


async def test_a_full_port_cuts_whoever_comes(sample: Running, client: aiohttp.ClientSession) -> None:
    """And is free again when somebody goes."""
    request = b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    async with asyncio.timeout(SECONDS):
        opened = [connect(sample, request) for _ in range(SMALL.most)]
        for connection in opened:
            raw = await connection.__aenter__()
            await raw.reader.readuntil(b'{"size":2}')
        async with connect(sample, request) as late:
            assert await late.is_cut()
        for connection in opened:
            await connection.__aexit__(None, None, None)
        while not await metric(client, sample, "stampchat_connections 0.0"):  # noqa: ASYNC110  # a metric has no event
            await asyncio.sleep(0.01)
        async with client.post(f"{sample.public}/size", data=b"{}") as response:
            assert response.status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01 hello\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: Bearer hunter2" + b"x" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"POST /size HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /size HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ],
    ids=["TLS", "long line", "long header", "many headers", "two lengths", "no length"],
)
async def test_what_is_no_request_is_refused_without_quoting_it(
    sample: Running, caplog: pytest.LogCaptureFixture, head: bytes
) -> None:
    """Neither the answer nor the log has the bytes, in which a token may be."""
    async with connect(sample, head) as raw:
        status, body = await raw.answer()

    assert (status, json.loads(body)["error"]["code"]) == (400, "malformed")
    said = str([record.__dict__ for record in caplog.records])
    assert ("Traceback" in said, "hunter2" in said, b"hunter2" in body) == (False, False, False)


async def test_a_body_that_breaks_off_in_its_coding_is_refused(sample: Running) -> None:
    """A chunk that is none is the client's mistake and not ours."""
    request = b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    async with connect(sample, request) as raw:
        assert (await raw.answer())[0] == 400


async def test_who_is_greeted_is_no_connection_of_the_port_any_more(
    sample: Running, client: aiohttp.ClientSession
) -> None:
    """Neither its time to say something nor the number of connections is for it, and nobody lets go of it."""
    async with connect(sample, HELLO + b"hello") as raw:
        assert await asyncio.wait_for(raw.reader.readexactly(5), SECONDS) == b"hello"
        assert await metric(client, sample, "stampchat_connections 0.0")
        # Longer than who has said nothing may stay.
        async with connect(sample) as silent:
            assert await silent.is_cut()
        assert not raw.reader.at_eof()


async def test_for_who_is_greeted_at_once_aiohttp_begins_nothing(
    sample: Running, greeter: Greeter, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a task nor a timer is made, to be thrown away."""
    async with connect(sample, HELLO + b"hello") as raw:
        assert await asyncio.wait_for(raw.reader.readexactly(5), SECONDS) == b"hello"
        assert greeter.tasks == [None]
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def read_by_the_service(sample: Running, client: aiohttp.ClientSession) -> None:
    """Return when what was sent before has been read: whoever asks now is answered after it."""
    async with client.post(f"{sample.public}/size", data=b"{}") as response:
        assert response.status == 200


async def test_of_who_is_greeted_aiohttp_keeps_nothing(
    sample: Running, greeter: Greeter, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Its task for a head that came in parts ends, without an error that the loop would tell of."""
    async with connect(sample, HELLO[:20]) as raw:
        await read_by_the_service(sample, client)
        raw.writer.write(HELLO[20:] + b"hello")
        assert await asyncio.wait_for(raw.reader.readexactly(5), SECONDS) == b"hello"
        [task] = greeter.tasks
        assert task is not None
        await asyncio.wait([task], timeout=SECONDS)
        assert task.cancelled()
        ended = weakref.ref(task)
        greeter.tasks.clear()
        del task
        gc.collect()
        assert ended() is None
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_what_goes_wrong_once_a_connection_is_taken_ends_it(sample: Running, greeter: Greeter) -> None:
    """An answer of aiohttp's would come in the middle of another protocol."""
    async with connect(sample, HELLO.replace(b"hello", b"oops")) as raw:
        assert await raw.is_cut()
    assert greeter.tasks == [None]


async def test_only_the_first_request_of_a_connection_is_greeted(sample: Running, greeter: Greeter) -> None:
    """What comes with or after another request is aiohttp's, as that is."""
    request, answer = b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", b'{"size":2}'
    plain, refusal = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", b'"message":"There is nothing here."}}'
    for parts in (
        [(request, answer), (HELLO, refusal)],
        [(request + HELLO, answer), (b"", refusal)],
        [(plain + request, refusal), (b"", answer)],
    ):
        async with connect(sample) as raw, asyncio.timeout(SECONDS):
            for said, heard in parts:
                raw.writer.write(said)
                await raw.reader.readuntil(heard)
    assert greeter.tasks == []


async def test_who_has_said_nothing_does_not_keep_a_service_from_stopping() -> None:
    """Let go of it at once."""
    patient = replace(SMALL, head_seconds=3600)
    async with asyncio.timeout(SECONDS), open_sample(patient) as apps:
        apps.public[GREETER] = Greeter()
        server = replace(SERVER, connections=patient, grace_seconds=3600)
        async with listening(apps, server) as ports:
            reader, writer = await asyncio.open_connection("127.0.0.1", ports.public)
            async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{ports.public}/") as response:
                assert response.status == 404
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_who_has_said_nothing_goes_before_what_a_service_does_at_its_end() -> None:
    """Its time is not theirs to say something after all."""
    patient = replace(SMALL, head_seconds=3600)
    async with asyncio.timeout(SECONDS), open_sample(patient) as apps:
        apps.public[GREETER] = Greeter()
        server = replace(SERVER, connections=patient)
        gone = asyncio.Event()

        async def wait(_: web.Application) -> None:
            await gone.wait()

        apps.public.on_shutdown.append(wait)
        async with listening(apps, server) as ports:
            reader, writer = await asyncio.open_connection("127.0.0.1", ports.public)
            async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{ports.public}/") as response:
                assert response.status == 404

            async def leave() -> None:
                assert await reader.read() == b""
                gone.set()

            leaving = asyncio.create_task(leave())
        await leaving
        writer.close()
