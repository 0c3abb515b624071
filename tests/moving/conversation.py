"""Talk in a room without a pause, as an app does: connect again when cut off, and say again what was not heard."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from typing import Any, Self

import aiohttp

PAUSE = 0.1
# Deploying on a machine that does much else.
SECONDS = 120
CUT = (aiohttp.ClientError, OSError, TimeoutError, ConnectionError)


class Conversation(threading.Thread):
    """Hold a socket open in a room and say one numbered thing after the other.

    Args:
        url: the gateway.
        token: of who talks.
        topic: of the room, with its "room:".

    Attributes:
        said: what this client has heard itself say, in order: all of it was stored.
        connected: how often it had to connect.
        unrecovered: how often a join did not give back all that was missed.
        failure: what ended it, if not the end.
    """

    def __init__(self, url: str, token: str, topic: str) -> None:
        super().__init__(daemon=True)
        self._address = f"{url.replace('http', 'ws', 1)}/chat/socket/websocket?token={token}&vsn=2.0.0"
        self._topic = topic
        self._refs = itertools.count(1)
        self._enough = threading.Event()
        self._last = 0
        self.said: list[str] = []
        self.connected = 0
        self.unrecovered = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Talk until told that it is enough."""
        try:
            asyncio.run(self._talk())
        except BaseException as error:  # noqa: BLE001  # it is raised where the test waits
            self.failure = error

    def wait_for(self, count: int) -> None:
        """Return when so many things have been said."""
        deadline = time.monotonic() + SECONDS
        while len(self.said) < count:
            assert self.failure is None, repr(self.failure)
            assert time.monotonic() < deadline, f"{len(self.said)} of {count} things were said"
            time.sleep(PAUSE)

    def __enter__(self) -> Self:
        self.start()
        self.wait_for(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join(SECONDS)
        assert not self.is_alive(), "it is still waiting to be heard"
        assert self.failure is None, repr(self.failure)

    async def _talk(self) -> None:
        async with aiohttp.ClientSession() as session:
            while not self._enough.is_set():
                try:
                    async with session.ws_connect(self._address, timeout=aiohttp.ClientWSTimeout(ws_close=1)) as socket:
                        await self._stay(socket)
                except CUT:
                    await asyncio.sleep(PAUSE)

    async def _stay(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._push(socket, "phx_join", {"last_message_id": self._last})
        joined = (await self._receive(socket))[4]
        if joined["status"] != "ok":
            # A service that starts may know the room a moment later.
            raise ConnectionError(str(joined))
        self.connected += 1
        self.unrecovered += not joined["response"]["recovered"]
        for message in joined["response"]["messages"]:
            self._hear(message)
        while not self._enough.is_set():
            text = f"thing {len(self.said)}"
            # The client's own id: said again after a cut, it is stored once.
            await self._push(socket, "shout", {"message": text, "id": text})
            while self.said[-1:] != [text]:
                frame = await self._receive(socket)
                if frame[3] == "phx_reply" and frame[4]["status"] == "error":
                    raise ConnectionError(str(frame))
                if frame[3] == "shout" and frame[4]["type"] == "message":
                    self._hear(frame[4]["data"])
            await asyncio.sleep(PAUSE)

    def _hear(self, message: dict[str, Any]) -> None:
        if message["id"] > self._last:
            self._last = message["id"]
            if message["type"] == "chat":
                self.said.append(message["body"])

    async def _push(self, socket: aiohttp.ClientWebSocketResponse, event: str, payload: Any) -> None:
        await socket.send_json(["1", str(next(self._refs)), self._topic, event, payload])

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse) -> list[Any]:
        message = await asyncio.wait_for(socket.receive(), SECONDS)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise ConnectionError(str(message.type))
        frame = json.loads(message.data)
        assert isinstance(frame, list)
        return frame
