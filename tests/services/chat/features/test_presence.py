"""See who is there, as Phoenix.Presence tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from services.chat.extensions import Joined
from services.chat.features.presence import Presence
from services.chat.models import Seat
from tests.services.chat.conftest import ChatService
from tests.services.chat.features.rooms import member_ids, pair
from tests.services.chat.phoenix import Phoenix

ASK = {"presence": True}


async def until(phoenix: Phoenix, event: str, fits: Callable[[Any], bool]) -> Any:
    """Return the first payload of an event that fits."""
    while True:
        frame = await phoenix.receive()
        assert frame[3] in {event, "presence_diff"}, frame
        if frame[3] == event and fits(frame[4]):
            return frame[4]


async def test_who_asks_sees_who_comes_and_goes(chat: ChatService) -> None:
    """Show several sockets of a person as several metas, and a leave for each; the old client gets nothing."""
    ada, bob, room, topic = await pair(chat)
    places = {identity: str(number) for identity, number in (await member_ids(ada, room)).items()}
    old = await bob.enter(room)
    hers = await ada.open()
    await hers.join(topic, ASK)

    state = (await hers.receive())[3:]

    assert state[0] == "presence_state"
    assert state[1].keys() == set(places.values())
    (meta,) = state[1][places[bob.identity]]["metas"]
    assert meta.keys() == {"phx_ref", "online_at"}
    again = await bob.open()
    await again.join(topic, ASK)
    both = (await again.receive())[4][places[bob.identity]]["metas"]
    assert meta in both
    (second,) = [other for other in both if other != meta]
    diff = await until(hers, "presence_diff", lambda diff: places[bob.identity] in diff["joins"])
    assert diff["joins"][places[bob.identity]] == {"metas": [second]}
    await again.push(topic, "phx_leave", {})
    diff = await until(hers, "presence_diff", lambda diff: bool(diff["leaves"]))
    assert diff["leaves"] == {places[bob.identity]: {"metas": [second]}}
    await old.silent(topic)
    await old.socket.close()
    diff = await until(hers, "presence_diff", lambda diff: bool(diff["leaves"]))
    assert diff["leaves"] == {places[bob.identity]: {"metas": [meta]}}


class Watcher:
    """Be a socket that applies what it is pushed as phoenix.js does."""

    def __init__(self, presence: Presence, key: object, member_id: int, *, asks: bool = True) -> None:
        self.presence, self.key, self.seat = presence, key, Seat(member_id, 1)
        self.frames = 0
        self.state: dict[str, set[str]] = {}
        self.payload = ASK if asks else {}

    async def join(self) -> None:
        """Come."""
        await self.presence.joined(
            Joined("room:a", "x", self.seat, self.key, self.push, lambda _: None, payload=self.payload)
        )

    def leave(self) -> None:
        """Go."""
        self.presence.left("room:a", "x", self.seat, self.key)

    def push(self, event: str, payload: Any) -> None:
        """Apply a frame."""
        self.frames += 1
        told = msgspec.json.decode(msgspec.json.encode(payload))
        if event == "presence_state":
            self.state = {key: {meta["phx_ref"] for meta in entry["metas"]} for key, entry in told.items()}
            return
        for key, entry in told["joins"].items():
            self.state.setdefault(key, set()).update(meta["phx_ref"] for meta in entry["metas"])
        for key, entry in told["leaves"].items():
            self.state[key] -= {meta["phx_ref"] for meta in entry["metas"]}
            if not self.state[key]:
                del self.state[key]


def there(watchers: list[Watcher]) -> dict[str, int]:
    """Return who should be seen, with how many sockets."""
    counts: dict[str, int] = {}
    for watcher in watchers:
        key = str(watcher.seat.member_id)
        counts[key] = counts.get(key, 0) + 1
    return counts


def seen(watcher: Watcher) -> dict[str, int]:
    """Return who is seen, with how many sockets."""
    return {key: len(refs) for key, refs in watcher.state.items()}


async def settled(presence: Presence, fits: Callable[[], bool]) -> None:
    """Wait until the moments that are under way have ended."""
    async with asyncio.timeout(60):
        while presence._gathering._timers or not fits():  # noqa: ASYNC110  # timers tell nobody
            await asyncio.sleep(0.001)


async def test_a_flood_of_joins_is_told_in_few_frames() -> None:
    """Send each watcher a state and a few diffs, not one for every other; all see the same in the end."""
    presence = Presence(1000, seconds=0.005)
    watchers = [Watcher(presence, number, number % 100) for number in range(300)]
    for watcher in watchers:
        await watcher.join()
    await settled(presence, lambda: all(seen(watcher) == there(watchers) for watcher in watchers))

    assert sum(watcher.frames for watcher in watchers) < len(watchers) * 30
    for watcher in watchers[1:]:
        watcher.leave()
    await settled(presence, lambda: seen(watchers[0]) == there(watchers[:1]))
    watchers[0].leave()
    assert len(presence) == 0
    presence.close()


async def test_who_comes_and_goes_within_a_moment_stays_in_no_list() -> None:
    """Be right for one who was sent the state in between."""
    presence = Presence(100, seconds=0.005)
    first, brief, later = Watcher(presence, "a", 1), Watcher(presence, "b", 2), Watcher(presence, "c", 3)
    await first.join()
    await brief.join()
    await later.join()
    assert "2" in later.state
    brief.leave()
    await settled(presence, lambda: seen(first) == seen(later) == {"1": 1, "3": 1})
    presence.close()


async def test_a_crowd_is_not_shown_and_is_shown_again_when_it_thins_out() -> None:
    """Bound what everybody would be told of everybody."""
    presence = Presence(10, seconds=0.005)
    watchers = [Watcher(presence, number, number) for number in range(10)]
    for watcher in watchers:
        await watcher.join()
    await settled(presence, lambda: seen(watchers[0]) == there(watchers))
    one_more = Watcher(presence, 10, 10)
    await one_more.join()
    await settled(presence, lambda: all(watcher.state == {} for watcher in [*watchers, one_more]))
    one_more.leave()
    await settled(presence, lambda: True)
    assert all(watcher.state == {} for watcher in watchers)
    watchers.pop().leave()
    await settled(presence, lambda: all(seen(watcher) == there(watchers) for watcher in watchers))
    presence.close()


async def test_a_moments_crowd_leaves_everybody_with_the_same_list() -> None:
    """Show whoever came into it what the others see, though it was over before it was told."""
    presence = Presence(10, seconds=0.005)
    watchers = [Watcher(presence, number, number) for number in range(11)]
    for watcher in watchers:
        await watcher.join()
    for watcher in watchers[:4]:
        watcher.leave()
    await settled(presence, lambda: all(seen(watcher) == there(watchers[4:]) for watcher in watchers[4:]))
    presence.close()


async def test_nobody_is_gathered_for_where_nobody_watches() -> None:
    """Keep what the old clients cost small."""
    presence = Presence(10)
    silent = [Watcher(presence, number, number, asks=False) for number in range(5)]
    for watcher in silent:
        await watcher.join()
    assert presence._gathering._timers == {}
    for watcher in silent:
        watcher.leave()
        watcher.leave()
    assert [watcher.frames for watcher in silent] == [0] * 5
    assert len(presence) == 0
