"""Speak Phoenix over a websocket as a client whose join_refs begin at 11 and whose refs begin at 1.

A server that takes one for the other then fails.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import aiohttp

# For a machine that does much else meanwhile.
SECONDS = 60
Frame = list[Any]


class Phoenix:
    """Be one socket.

    Args:
        socket: an open websocket.
        vsn: the serializer.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, vsn: str = "2.0.0") -> None:
        self.socket = socket
        self.vsn = vsn
        self.join_refs: dict[str, str] = {}
        self._refs = map(str, itertools.count(1))
        self._join_refs = map(str, itertools.count(11))

    async def push(self, topic: str, event: str, payload: Any, *, join_ref: str | None = "") -> str:
        """Send an event with the topic's join_ref, or another; return its ref."""
        ref = next(self._refs)
        mine = self.join_refs.get(topic) if join_ref == "" else join_ref
        if self.vsn == "1.0.0":
            await self.socket.send_json({"topic": topic, "event": event, "payload": payload, "ref": ref})
        else:
            await self.socket.send_json([mine, ref, topic, event, payload])
        return ref

    async def receive(self) -> Frame:
        """Return the next frame as [join_ref, ref, topic, event, payload]."""
        message = await asyncio.wait_for(self.socket.receive(), SECONDS)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        frame = json.loads(message.data)
        if isinstance(frame, dict):
            return [None, frame["ref"], frame["topic"], frame["event"], frame["payload"]]
        assert isinstance(frame, list)
        return frame

    async def closed(self) -> int:
        """Return the code with which the server closes."""
        message = await asyncio.wait_for(self.socket.receive(), SECONDS)
        assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}, message
        assert self.socket.close_code is not None
        return self.socket.close_code

    async def start_join(self, topic: str, payload: Any = None) -> tuple[str, str]:
        """Send a join; return its join_ref and ref."""
        join_ref = self.join_refs[topic] = next(self._join_refs)
        return join_ref, await self.push(topic, "phx_join", payload or {})

    async def join(self, topic: str, payload: Any = None) -> Any:
        """Join and return the response."""
        join_ref, ref = await self.start_join(topic, payload)
        frame = await self.receive()
        assert frame[:4] == [None if self.vsn == "1.0.0" else join_ref, ref, topic, "phx_reply"], frame
        assert frame[4]["status"] == "ok", frame
        return frame[4]["response"]

    async def ask(self, topic: str, event: str, payload: Any) -> Any:
        """Send an event and return its reply's payload."""
        ref = await self.push(topic, event, payload)
        frame = await self.receive()
        assert frame[1:4] == [ref, topic, "phx_reply"], frame
        return frame[4]

    async def shout(self, topic: str, text: str) -> Any:
        """Say something and return the message that comes back."""
        await self.push(topic, "shout", {"message": text})
        return await self.heard(topic)

    async def heard(self, topic: str, kind: str = "message") -> Any:
        """Return what the room is told next."""
        frame = await self.receive()
        assert frame[:4] == [None, None, topic, "shout"], frame
        assert frame[4].keys() == {"type", "data"}
        assert frame[4]["type"] == kind
        return frame[4]["data"]

    async def silent(self, topic: str) -> None:
        """Fail when anything comes before the reply to a ping: nothing else was on its way."""
        ref = await self.push("phoenix", "heartbeat", {}, join_ref=None)
        frame = await self.receive()
        assert frame[1:4] == [ref, "phoenix", "phx_reply"], (topic, frame)

    async def silent_or_told(self) -> None:
        """Return when the server has read all that was sent, whatever it says meanwhile."""
        ref = await self.push("phoenix", "heartbeat", {}, join_ref=None)
        while (await self.receive())[1:3] != [ref, "phoenix"]:
            pass
