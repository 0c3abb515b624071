"""Say much at once, over a socket of one's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

import aiohttp

from tests.web.site import Caller, Site

LIMIT = 180
# Seconds from one event to the next: below the rate of a socket (200 a second), however quick the machine is.
GAP = 1 / 150


def say_many(site: Site, caller: Caller, topic: str, texts: Sequence[str]) -> list[int]:
    """Say texts in a room and return their ids, in order."""
    shouts = [("shout", {"message": text}) for text in texts]
    told: list[dict[str, Any]] = _run(_push(site.url, caller.token, topic, shouts))
    return [each["data"]["id"] for each in told]


def stamp_many(site: Site, caller: Caller, topic: str, stamps: Sequence[dict[str, Any]]) -> None:
    """Throw stamps in a room."""
    _run(_push(site.url, caller.token, topic, [("stamp", stamp) for stamp in stamps]))


def _run(work: Any) -> Any:
    """Run a coroutine in a thread of its own: the browser's driver has this thread's loop."""
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(asyncio.run(work)))
    thread.start()
    thread.join(LIMIT)
    assert result, "it did not get through"
    return result[0]


async def _push(url: str, token: str, topic: str, events: Sequence[tuple[str, object]]) -> list[dict[str, Any]]:
    address = f"{url.replace('http', 'ws')}/chat/socket/websocket?token={token}&vsn=2.0.0"
    told: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(address) as socket:
        await socket.send_json(["1", "1", f"room:{topic}", "phx_join", {}])
        ref, waiting = 1, 0
        queue = list(events)
        async for frame in socket:
            _, _, _, event, payload = json.loads(frame.data)
            if event == "phx_reply" and payload["status"] != "ok":
                raise AssertionError(payload)
            if event == "shout":
                told.append(payload)
                waiting -= 1
            # Below what may wait, too.
            while queue and waiting < 20:
                name, body = queue.pop(0)
                ref += 1
                waiting += 1
                await socket.send_json(["1", str(ref), f"room:{topic}", name, body])
                await asyncio.sleep(GAP)
            if len(told) == len(events):
                return told
            if waiting >= 20:
                await asyncio.sleep(0)
    raise AssertionError("the socket was closed")
