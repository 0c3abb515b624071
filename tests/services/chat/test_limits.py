"""Hold clients to their limits on real sockets: idle, too fast, too slow, too many; and a process that stops."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.chat.app import open_apps
from services.chat.limits import Limits
from services.chat.settings import ChatSettings
from services.serve import listening
from services.tokens import Signer
from tests.services.chat.conftest import ChatService, mint
from tests.services.chat.phoenix import Phoenix
from tests.services.conftest import SERVER


@pytest.fixture
def limits(still_rates: None) -> Limits:  # noqa: ARG001  # it only has to be there
    """Make limits that a test reaches quickly."""
    return Limits(
        events_per_second=5,
        events_burst=10,
        sockets_per_user=3,
        channels=2,
        replay_messages=3,
    )


# Long enough for the one that beats to live through a moment in which this machine does something else.
@pytest.mark.parametrize("limits", [Limits(idle_seconds=4)], ids=["4 s"])
async def test_an_idle_socket_is_closed(chat: ChatService) -> None:
    """Close after the idle time without any frame; a heartbeat keeps a socket."""
    ada = await chat.meet("Ada")
    # The older of the two outlives the younger.
    alive, idle = await ada.open(), await ada.open()

    async def beat() -> None:
        while True:
            await alive.silent("")
            await asyncio.sleep(0.3)

    beating = asyncio.create_task(beat())
    assert await idle.closed() == 1001
    assert not beating.done()
    beating.cancel()
    await alive.socket.close()


async def test_who_sends_too_fast_is_refused_and_not_closed(chat: ChatService) -> None:
    """Answer each event over the rate with an error reply, store nothing for it, and let others be."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})
    topic = f"room:{room['topic']}"
    hers, his = await ada.enter(room), await bob.enter(room)

    for number in range(30):
        await hers.push(topic, "shout", {"message": str(number)})
    frames = [await hers.receive() for _ in range(30)]

    refused = [frame[4]["response"]["reason"] for frame in frames if frame[3] == "phx_reply"]
    told = [frame[4]["data"]["body"] for frame in frames if frame[3] == "shout"]
    assert set(refused) == {"rate limited: at most 5 events a second"}
    assert told[:9] == [str(number) for number in range(9)]
    assert len(refused) + len(told) == 30
    assert [(await his.heard(topic))["body"] for _ in told] == told
    assert (await his.shout(topic, "mine"))["body"] == "mine"


async def test_one_person_has_so_many_sockets(chat: ChatService) -> None:
    """Answer 429 to the one over the limit, until another closes."""
    ada = await chat.meet("Ada")
    sockets = [await ada.open() for _ in range(3)]

    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await ada.open()

    assert error.value.status == 429
    assert error.value.headers is not None
    assert error.value.headers["Retry-After"]
    await sockets[0].socket.close()
    async with asyncio.timeout(60):
        while True:
            try:
                await ada.open()
                break
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.02)


async def test_one_socket_joins_so_many_topics(chat: ChatService) -> None:
    """Refuse the join over the cap."""
    ada = await chat.meet("Ada")
    rooms = [await ada.make_room(str(number)) for number in range(3)]
    hers = await ada.open()
    for room in rooms[:2]:
        await hers.join(f"room:{room['topic']}")

    await hers.start_join(f"room:{rooms[2]['topic']}")

    assert (await hers.receive())[4] == {"status": "error", "response": {"reason": "too many channels joined"}}


async def test_a_replay_that_is_too_long_says_so(chat: ChatService) -> None:
    """Answer recovered: false and leave the rest to the history."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.enter(room)
    sent = [await hers.shout(topic, str(number)) for number in range(4)]

    whole = await (await ada.open()).join(topic, {"last_message_id": sent[0]["id"]})
    short = await (await ada.open()).join(topic, {"last_message_id": sent[0]["id"] - 1})

    assert whole == {"messages": sent[1:], "recovered": True}
    assert short == {"messages": [], "recovered": False}


@pytest.mark.parametrize("value", ["x", -1, True, [], 10**30])
async def test_a_replay_from_what_is_no_id_is_refused(chat: ChatService, value: Any) -> None:
    """Refuse the join and say why."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    hers = await ada.open()

    await hers.start_join(f"room:{room['topic']}", {"last_message_id": value})

    reason = "last_message_id must be a positive integer"
    assert (await hers.receive())[4] == {"status": "error", "response": {"reason": reason}}


async def test_a_stopping_process_tells_its_sockets_and_finishes_what_they_said(
    settings: ChatSettings, signer: Signer, client: aiohttp.ClientSession
) -> None:
    """Close with 1012, and have what was sent before it in the database."""
    connection = await asyncpg.connect(settings.database.url.reveal())
    await connection.execute(
        "INSERT INTO users (id, identity, inserted_at, updated_at) VALUES (1, 'ada', now(), now());"
        "INSERT INTO channels (id, topic, inserted_at, updated_at) VALUES (1, 'a', now(), now());"
        "INSERT INTO members (channel_id, user_id, inserted_at, updated_at) VALUES (1, 1, now(), now());"
    )
    token = mint(signer, "ada", "Ada")
    async with open_apps(settings) as apps:
        async with listening(apps, SERVER) as ports:
            url = f"http://127.0.0.1:{ports.public}/socket/websocket?token={token}&vsn=2.0.0"
            socket = Phoenix(await client.ws_connect(url))
            await socket.join("room:a")
            await socket.push("room:a", "shout", {"message": "last words"})
            # Its reply says that the shout has been read; the shout may be told before it or behind it.
            await socket.push("phoenix", "heartbeat", {}, join_ref=None)
            first = await socket.receive()
            ends = asyncio.create_task(_last_words(socket, first))
        # Told before the close, since it was said before it.
        assert await ends == (["last words"], 1012)
        # The port is closed, so nobody else is let in.
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.ws_connect(url)
    assert await connection.fetchval("SELECT count(*) FROM messages WHERE body = 'last words'") == 1
    await connection.close()


async def _last_words(socket: Phoenix, first: list[Any]) -> tuple[list[str], int | None]:
    """Return what is still told, and the code of the close behind it."""
    frames = [first]
    while (message := await asyncio.wait_for(socket.socket.receive(), 60)).type is aiohttp.WSMsgType.TEXT:
        frames.append(json.loads(message.data))
    return [frame[4]["data"]["body"] for frame in frames if frame[3] == "shout"], socket.socket.close_code
