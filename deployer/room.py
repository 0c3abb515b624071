"""Join a room over websockets: by a Phoenix client that others wrote, and by the app's own frames.

The client drops broadcasts in serializer 2.0.0 whose join_ref is null, which is what Phoenix itself sends; so it
speaks 1.0.0, and a bare socket listens beside it for the 2.0.0 frames that the app speaks.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

WAIT = 5.0


@dataclass(frozen=True)
class Heard:
    """A user in the room.

    Attributes:
        client: the Phoenix client.
        shouts: what the room was told.
        heartbeat: is set when the server answered one.
    """

    client: Any
    shouts: asyncio.Queue[dict[str, Any]]
    heartbeat: asyncio.Event


def _socket_url(url: str, token: str, **more: str) -> str:
    return url.replace("http", "ws", 1) + "/chat/socket/websocket?" + urlencode({"token": token, **more})


@asynccontextmanager
async def in_room(url: str, token: str, version: str) -> AsyncIterator[Heard]:
    """Open a user's socket with the Phoenix client; it joins nothing yet."""
    from phoenix_channels_python_client import PHXChannelsClient

    beat = asyncio.Event()
    client = PHXChannelsClient(
        _socket_url(url, token),
        api_key="",
        protocol_version=version,
        auto_reconnect=False,
        heartbeat_interval_s=0.5,
        on_heartbeat_ack=beat.set,
    )
    async with client:
        yield Heard(client, asyncio.Queue(), beat)


def listen(heard: Heard) -> Callable[[Any], Awaitable[None]]:
    """Make the callback that keeps what a room tells a user."""

    async def hear(message: Any) -> None:
        if str(message.event) == "shout":
            await heard.shouts.put(message.payload)

    return hear


async def heartbeat(heard: Heard) -> None:
    """Wait until the server has answered a heartbeat."""
    await asyncio.wait_for(heard.heartbeat.wait(), WAIT)


async def _push(heard: Heard, room: str, event: str, payload: dict[str, Any]) -> None:
    from phoenix_channels_python_client.utils import make_message

    message = make_message(event=event, topic=room, ref=secrets.token_hex(4), payload=payload)
    await heard.client.get_protocol_handler().send_message(heard.client.connection, message)


async def shout(sender: Heard, other: Heard, room: str, text: str) -> dict[str, Any]:
    """Shout, and wait until both users have heard it; return the stored message."""
    await _push(sender, room, "shout", {"message": text})
    both = [await asyncio.wait_for(heard.shouts.get(), WAIT) for heard in (sender, other)]
    for payload in both:
        if payload["type"] != "message" or payload["data"]["body"] != text:
            raise AssertionError(json.dumps(payload))
    return dict(both[0]["data"])


async def stamp(sender: Heard, other: Heard, room: str, message_id: int) -> None:
    """Stamp a message, and wait until both users have seen it."""
    stamp = {"word": "hello", "xPos": 0.25, "yPos": 0.5, "strength": 1.0, "messageId": message_id}
    await _push(sender, room, "stamp", stamp)
    for heard in (sender, other):
        payload = await asyncio.wait_for(heard.shouts.get(), WAIT)
        if payload["type"] != "stamp" or payload["data"]["message_id"] != message_id:
            raise AssertionError(json.dumps(payload))


async def be_refused(url: str, token: str, room: str) -> None:
    """See that the room does not let a stranger join."""
    from phoenix_channels_python_client.exceptions import PHXTopicError

    async with in_room(url, token, "1.0.0") as stranger:
        try:
            await stranger.client.subscribe_to_topic(room)
        except PHXTopicError:
            return
    raise AssertionError("the room let a stranger in")


@asynccontextmanager
async def bare_socket(url: str, token: str) -> AsyncIterator[Any]:
    """Open a websocket as the app does."""
    from websockets.asyncio.client import connect

    async with connect(_socket_url(url, token, vsn="2.0.0"), proxy=None) as socket:
        yield socket


async def bare_join(socket: Any, room: str) -> None:
    """Join a room in the app's own frames, and compare the reply with the wire's word for word."""
    await socket.send(json.dumps(["11", "1", room, "phx_join", {}]))
    frame = json.loads(await asyncio.wait_for(socket.recv(), WAIT))
    if frame != ["11", "1", room, "phx_reply", {"status": "ok", "response": {}}]:
        raise AssertionError(json.dumps(frame))


async def bare_shout(socket: Any, room: str, text: str) -> None:
    """Wait for a shout in the app's own frames."""
    frame = json.loads(await asyncio.wait_for(socket.recv(), WAIT))
    if frame[:4] != [None, None, room, "shout"] or frame[4]["data"]["body"] != text:
        raise AssertionError(json.dumps(frame))


async def be_turned_away(url: str) -> None:
    """See that a forged token is answered 403 before there is a socket."""
    from websockets.exceptions import InvalidStatus

    try:
        async with bare_socket(url, "forged"):
            pass
    except InvalidStatus as error:
        if error.response.status_code != 403:  # noqa: PLR2004  # what the wire promises
            raise AssertionError(f"answered {error.response.status_code}") from error
        return
    raise AssertionError("the upgrade went through")
