"""Play two users through the gateway, with a Phoenix client that others wrote, and time what they see.

Ada and Grace log in, Ada opens a group, Grace joins it by its topic, both join its room over a websocket and chat.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from deployer.errors import DeployError
from deployer.rest import Answer, Rest
from deployer.room import (
    bare_join,
    bare_shout,
    bare_socket,
    be_refused,
    be_turned_away,
    heartbeat,
    in_room,
    listen,
    shout,
    stamp,
)

# Longer than any single wait inside a check.
_LIMIT = 12.0
# Never forwarded by the gateway, however the path is written.
INTERNAL_PATHS = (
    "/chat/internal/users",
    "/chat/INTERNAL/users",
    "/chat//internal/users",
    "/chat/x/../internal/users",
    "/chat/%69nternal/users",
    "/notifications/internal/notify",
    "/auth/livez",
    "/chat/readyz",
    "/notifications/metrics",
    "/auth/openapi.json",
    "/internal/users",
)


@dataclass(frozen=True)
class Result:
    """What one check came to.

    Attributes:
        name: the fact that was looked at.
        passed: whether it holds.
        ms: how long the user waited for it.
        said: what was seen instead.
    """

    name: str
    passed: bool
    ms: float
    said: str = ""


@dataclass
class Journey:
    """Run checks one after the other, and hand each result on as it comes.

    Attributes:
        url: the gateway.
        announce: is told each result.
    """

    url: str
    announce: Callable[[Result], None] = lambda _: None
    results: list[Result] = field(default_factory=list)

    async def see(self, name: str, work: Awaitable[Any]) -> Any:
        """Await a check; a failed one is reported, and ends the journey as nothing after it would hold.

        Raises:
            DeployError: the check failed.
        """
        started = time.perf_counter()
        try:
            value = await asyncio.wait_for(work, timeout=_LIMIT)
        except Exception as error:
            said = str(error) or type(error).__name__
            self._add(Result(name, passed=False, ms=_since(started), said=said))
            raise DeployError(
                f"The smoke test failed: {name}.", said=said, advice="See `./stampchat status` and `./stampchat logs`."
            ) from error
        self._add(Result(name, passed=True, ms=value if isinstance(value, float) else _since(started)))
        return value

    def _add(self, result: Result) -> None:
        self.results.append(result)
        self.announce(result)


def smoke(url: str, announce: Callable[[Result], None]) -> list[Result]:
    """Play the journey against a gateway.

    Args:
        url: the gateway's URL, without a slash at its end.
        announce: is told each result as it comes.

    Raises:
        DeployError: a check failed; the earlier ones and it were announced.
    """
    quiet = logging.getLogger("phoenix_channels_python_client")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    journey = Journey(url, announce)
    asyncio.run(_play(journey))
    return journey.results


async def _play(journey: Journey) -> None:
    rest = Rest(journey.url)
    mark = secrets.token_hex(3)
    ada = await journey.see("Ada logs in", _log_in(rest, f"Ada {mark}"))
    grace = await journey.see("Grace logs in", _log_in(rest, f"Grace {mark}"))
    eve = await journey.see("Eve, who is not invited, logs in", _log_in(rest, f"Eve {mark}"))
    await journey.see("the same name is the same user", _same_user(rest, f"Ada {mark}", ada))
    await journey.see("Ada refreshes her token", _refresh(rest, ada["token"]))
    await journey.see("no token is refused", _expect(rest.get("/chat/channels", token=""), 401))
    channel = await journey.see("Ada opens a group", _open_group(rest, ada["token"]))
    topic, number = channel["topic"], channel["id"]
    join = {"topic": topic}
    await journey.see("Grace joins by its topic", _expect(rest.post("/chat/channels/join", join, grace["token"]), 200))
    await journey.see("Grace lists it, with two members", _listed(rest, grace["token"], number))
    await _chat(journey, rest, (ada["token"], grace["token"], eve["token"]), topic, number)
    await journey.see("internal paths are 404 from outside", _all_hidden(rest))
    leave = {"channel_id": number}
    await journey.see("Grace leaves", _expect(rest.post("/chat/channels/leave", leave, grace["token"]), 200))
    past = f"/chat/channels/{number}/events"
    await journey.see("and can no longer read it", _expect(rest.get(past, token=grace["token"]), 404))


async def _chat(journey: Journey, rest: Rest, tokens: tuple[str, str, str], topic: str, number: int) -> None:
    """Chat over websockets: two users by the Phoenix client, and the app's own frames on a bare socket."""
    ada, grace, eve = tokens
    room = f"room:{topic}"
    async with in_room(journey.url, ada, "1.0.0") as first, in_room(journey.url, grace, "1.0.0") as second:
        await journey.see("Ada's socket joins the room", first.client.subscribe_to_topic(room, listen(first)))
        await journey.see("Grace's socket joins the room", second.client.subscribe_to_topic(room, listen(second)))
        await journey.see("a heartbeat is answered", heartbeat(first))
        async with bare_socket(journey.url, grace) as bare:
            await journey.see("the app's frames (2.0.0) join it too", bare_join(bare, room))
            message = await journey.see("a shout reaches both", shout(first, second, room, "hello"))
            await journey.see("and the app's frames", bare_shout(bare, room, "hello"))
            await journey.see("a stamp reaches both", stamp(first, second, room, message["id"]))
        await journey.see("the history has both", _history(rest, grace, number))
    await journey.see("who is no member may not join", be_refused(journey.url, eve, room))
    path = f"/chat/channels/{number}/events"
    await journey.see("nor read the history", _expect(rest.get(path, token=eve), 404))
    await journey.see("a forged token gets no socket", be_turned_away(journey.url))


async def _log_in(rest: Rest, name: str) -> dict[str, Any]:
    answer = await rest.post("/auth/login", {"authProvider": "dev", "token": name})
    user = answer.expect(200)
    missing = {"id", "name", "email", "picture", "identity", "token"} - set(user)
    assert not missing and "uid" not in user, f"fields of the user: {sorted(user)}"  # noqa: S101, PT018
    return dict(user)


async def _same_user(rest: Rest, name: str, user: dict[str, Any]) -> None:
    again = await _log_in(rest, name)
    if again["identity"] != user["identity"]:
        raise AssertionError(f"{again['identity']} is not {user['identity']}")


async def _refresh(rest: Rest, token: str) -> None:
    answer = await rest.post("/auth/refresh", {"token": token}, token)
    if not answer.expect(200).get("token"):
        raise AssertionError("no token in the answer")


async def _open_group(rest: Rest, token: str) -> dict[str, Any]:
    answer = await rest.post("/chat/channels", {"channel_name": "Road trip"}, token)
    channel: dict[str, Any] = answer.expect(200)["data"]
    if not str(channel["topic"]).startswith("road_trip_"):
        raise AssertionError(f"topic {channel['topic']!r}")
    return channel


async def _listed(rest: Rest, token: str, number: int) -> None:
    channels = (await rest.get("/chat/channels", token=token)).expect(200)["data"]
    mine = next(channel for channel in channels if channel["id"] == number)
    if len(mine["members"]) != 2:  # noqa: PLR2004  # Ada and Grace
        raise AssertionError(f"{len(mine['members'])} members")


async def _expect(request: Awaitable[Answer], status: int) -> None:
    (await request).expect(status)


async def _all_hidden(rest: Rest) -> None:
    for path in INTERNAL_PATHS:
        for answer in (await rest.get(path), await rest.post(path, {})):
            if answer.status != 404:  # noqa: PLR2004  # nothing is there, seen from outside
                raise AssertionError(f"{path} answers {answer.status}")


async def _history(rest: Rest, token: str, number: int) -> None:
    data = (await rest.get(f"/chat/channels/{number}/events?last_message_id=", token=token)).expect(200)["data"]
    spoken = [message for message in data["messages"] if message["type"] == "chat"]
    if len(spoken) != 1 or not spoken[0]["stamps"]:
        raise AssertionError(json.dumps(data)[:300])


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
