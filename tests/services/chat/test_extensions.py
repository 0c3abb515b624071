"""Hang features on the sockets, and hold the core to what it promises them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from services.chat.bus import Cut, Told
from services.chat.chat import Chat, read_object
from services.chat.errors import Refusal
from services.chat.extensions import Event, Extension, Extensions, Joined
from services.chat.frames import Outlet
from services.chat.limits import Limits
from services.chat.metrics import ChatMetrics
from services.chat.protocol import Message, Version
from services.chat.rates import Rates
from services.chat.room import Rooms
from services.chat.session import Session
from services.chat.shared import Shared
from services.errors import DatabaseUnavailable
from services.tokens import Claims, Verifier
from tests.services.chat.test_session import HeldChat, Wire

TOPIC = "room:a"


class Marks(Extension):
    """Be a feature that records what it is told, and can be held or fail in its greeting."""

    def __init__(self, chat: HeldChat) -> None:
        self.events = {"mark": self.mark}
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.error: Exception | None = None
        self.story: list[str] = []
        self.joins: list[Joined] = []
        self.keys: list[object] = []
        self._chat = chat

    async def mark(self, event: Event) -> dict[str, Any]:
        """Answer the feature's event."""
        if (number := read_object(event.payload).get("n")) is None:
            raise Refusal("n is missing")
        self.keys.append(event.session_key)
        return {"n": number, "who": event.identity, "seat": event.seat.member_id}

    async def joined(self, joined: Joined) -> None:
        """Record it."""
        self.story.append("joining")
        self.joins.append(joined)
        joined.push("hello", {"topic": joined.topic})
        await self.may_go.wait()
        if self.error is not None:
            raise self.error
        self.story.append("joined")

    def left(self, topic: str, identity: str, seat: Any, session_key: object) -> None:
        """Record it."""
        assert (topic, identity, seat.member_id) == (TOPIC, "ada", 1)
        assert session_key is self.joins[-1].session_key
        self.story.append("left")


class Broken(Extension):
    """Be a feature that fails whenever it may not."""

    def left(self, *_: object) -> None:
        """Fail."""
        raise ZeroDivisionError


class TestSession:
    """Play a session with features."""

    def setup_method(self) -> None:
        """Make a session that has two features."""
        self.chat, self.wire, self.rooms = HeldChat(), Wire(), Rooms(lambda _: None)
        self.chat.may_go.set()
        self.marks = Marks(self.chat)
        limits = Limits()
        shared = Shared(
            verifier=Verifier({}),
            chat=cast("Chat", self.chat),
            rooms=self.rooms,
            limits=limits,
            rates=Rates(limits),
            metrics=ChatMetrics(CollectorRegistry()),
            extensions=Extensions([Broken(), self.marks]),
        )
        self.session = Session(
            shared=shared,
            claims=Claims(1, "ada", "Ada", None, None, auth_time=0, iat=0, exp=0),
            version=Version.V2,
            outlet=Outlet(cast("asyncio.Transport", self.wire), most=100, on_drop=lambda: None),
        )

    async def push(self, event: str, payload: Any = None, *, ref: str = "2", join_ref: str = "11") -> None:
        """Hand over a client's message, and let what can run, run."""
        self.session.receive(Message(TOPIC, event, payload or {}, ref=ref, join_ref=join_ref))
        await self.settle()

    async def settle(self) -> None:
        """Let what can run, run, and rooms hear what they are to be told."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.rooms.flush_all()

    def sent(self) -> list[tuple[str, Any]]:
        """Return events and payloads that the client has been sent."""
        return [(frame[3], frame[4]) for frame in self.wire.frames]

    async def test_an_event_of_a_feature_is_answered(self) -> None:
        """Reply ok with what the handler returns, error with its refusal."""
        await self.push("phx_join", ref="1")
        await self.push("mark", {"n": 7})
        await self.push("mark", {}, ref="3")
        await self.push("other", {}, ref="4")

        assert self.wire.frames[2:] == [
            ["11", "2", TOPIC, "phx_reply", {"status": "ok", "response": {"n": 7, "who": "ada", "seat": 1}}],
            ["11", "3", TOPIC, "phx_reply", {"status": "error", "response": {"reason": "n is missing"}}],
            ["11", "4", TOPIC, "phx_reply", {"status": "error", "response": {"reason": "unknown event"}}],
        ]
        assert self.marks.keys == [self.marks.joins[0].session_key]

    async def test_a_greeting_comes_between_the_reply_and_the_room(self) -> None:
        """Reply to the join, let the features push, and only then tell what the room was told."""
        self.marks.may_go.clear()
        await self.push("phx_join", ref="1")
        self.rooms.deliver(Told(TOPIC, "shout", {"n": 1}))
        self.marks.may_go.set()
        await self.settle()

        assert [event for event, _ in self.sent()] == ["phx_reply", "hello", "shout"]
        assert self.wire.frames[1] == ["11", None, TOPIC, "hello", {"topic": TOPIC}]

    async def test_who_is_muted_in_the_greeting_is_not_heard(self) -> None:
        """Tell neither what was held back nor what comes later, and tell the others' words."""
        self.marks.may_go.clear()
        await self.push("phx_join", ref="1")
        for author in (3, 4, 0):
            self.rooms.deliver(Told(TOPIC, "shout", {"by": author}, author=author))
        self.marks.joins[0].mute(frozenset({3}))
        self.marks.may_go.set()
        await self.settle()
        for author in (3, 4, 0):
            self.rooms.deliver(Told(TOPIC, "shout", {"by": author}, author=author))
        await self.settle()

        assert [payload["by"] for event, payload in self.sent() if event == "shout"] == [4, 0, 4, 0]

    @pytest.mark.parametrize("how", ["leave", "cut", "again", "close", "crash"])
    async def test_every_end_is_told_once(self, how: str) -> None:
        """Tell the features of a leave, a removal, a second join, a closed socket and a crash."""
        await self.push("phx_join", ref="1")
        await self.end(how)
        await self.session.close()

        assert self.marks.story[:3] == ["joining", "joined", "left"]
        assert self.marks.story.count("joined") == self.marks.story.count("left")
        assert len(self.rooms) == 0

    @pytest.mark.parametrize("how", ["leave", "cut", "close"])
    async def test_an_end_during_the_greeting_is_told_behind_it(self, how: str) -> None:
        """Never tell of a leave before the feature is done with the join, or it would keep a ghost."""
        self.marks.may_go.clear()
        await self.push("phx_join", ref="1")
        ending = asyncio.create_task(self.end(how))
        await self.settle()
        assert self.marks.story == ["joining"]
        self.marks.may_go.set()
        await ending
        await self.settle()

        assert self.marks.story == ["joining", "joined", "left"]
        assert len(self.rooms) == 0

    @pytest.mark.parametrize("error", [ZeroDivisionError(), DatabaseUnavailable("It does not answer.")])
    async def test_a_greeting_that_fails_ends_the_channel(self, error: Exception) -> None:
        """Send phx_error behind the reply, since the client joins again after it."""
        self.marks.error = error
        await self.push("phx_join", ref="1")
        self.marks.error = None
        await self.push("phx_join", ref="3", join_ref="12")

        assert [event for event, _ in self.sent()] == ["phx_reply", "hello", "phx_error", "phx_reply", "hello"]
        assert self.marks.story == ["joining", "left", "joining", "joined"]

    async def test_a_join_that_is_refused_is_not_told(self) -> None:
        """Tell the features of those who are in."""
        self.chat.error = Refusal("unauthorized")
        await self.push("phx_join", ref="1")
        await self.session.close()

        assert self.marks.story == []

    async def end(self, how: str) -> None:
        """End the channel."""
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "leave": lambda: self.push("phx_leave", ref="9"),
            "cut": self.cut,
            "again": lambda: self.push("phx_join", ref="9", join_ref="12"),
            "close": self.session.close,
            "crash": self.crash,
        }
        await ways[how]()

    async def cut(self) -> None:
        """Remove the person from the room."""
        self.rooms.deliver(Cut(TOPIC, "ada"))

    async def crash(self) -> None:
        """Let an event meet what nobody foresaw."""
        self.chat.error = ZeroDivisionError()
        await self.push("shout", {"message": "a"}, ref="9")


@pytest.mark.parametrize("event", ["shout", "whisper", "phx_join", "mark"])
def test_an_event_has_one_handler(event: str) -> None:
    """Refuse a feature that would take an event from the core or from another."""

    async def handle(_event: Event) -> dict[str, Any]:
        return {}

    class Greedy(Extension):
        events = {event: handle, "mark": handle}  # noqa: RUF012  # as a feature may write it

    with pytest.raises(ValueError, match="has a handler already"):
        Extensions([Greedy(), Greedy()])
