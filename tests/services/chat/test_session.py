"""Catch the moments between a join's question and its answer, with a chat that can be held."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from services.chat.bus import Cut, Told
from services.chat.chat import Chat
from services.chat.errors import Refusal
from services.chat.extensions import Extensions
from services.chat.frames import Outlet
from services.chat.limits import Limits
from services.chat.metrics import ChatMetrics
from services.chat.models import Seat
from services.chat.protocol import Message, Version
from services.chat.rates import Rates
from services.chat.room import Rooms
from services.chat.session import Session
from services.chat.shared import Shared
from services.errors import DatabaseUnavailable
from services.tokens import Claims, Verifier

TOPIC = "room:a"


class HeldChat:
    """Answer find_seat and shout only when let."""

    def __init__(self) -> None:
        self.may_go = asyncio.Event()
        self.error: Exception | None = None
        self.shouts: list[Any] = []
        self.whispers: list[Any] = []
        self.missed: list[dict[str, int]] = []
        self.flying: asyncio.Task[None] | None = None
        self.taken = 0

    async def find_seat(self, _identity: str, _topic: str) -> Seat:
        """Be Chat.find_seat."""
        await self.may_go.wait()
        if self.error is not None:
            raise self.error
        return Seat(member_id=1, channel_id=1)

    async def replay(self, _seat: Seat, _payload: Any) -> tuple[dict[str, object], int]:
        """Be Chat.replay."""
        if not self.missed:
            return {}, 0
        return {"messages": self.missed, "recovered": True}, self.missed[-1]["id"]

    async def shout(self, _seat: Seat, _topic: str, payload: Any) -> None:
        """Be Chat.shout."""
        await self.may_go.wait()
        if self.error is not None:
            raise self.error
        self.shouts.append(payload)

    def take_shout(self, seat: Seat, topic: str, payload: Any, done: Callable[[Exception | None], None]) -> None:
        """Be Chat.take_shout: one after the other."""

        async def shout(before: asyncio.Task[None] | None) -> None:
            if before is not None:
                await before
            try:
                await self.shout(seat, topic, payload)
            except Exception as error:  # noqa: BLE001  # it is called back with
                done(error)
            else:
                done(None)

        self.taken += 1
        self.flying = asyncio.create_task(shout(self.flying))

    def whisper(self, _seat: Seat, _topic: str, payload: Any, _but: object) -> None:
        """Be Chat.whisper."""
        self.whispers.append(payload)


class Wire:
    """Be a transport that keeps what is written."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.waiting = 0

    def write(self, data: bytes) -> None:
        """Keep text frames of the short or the medium form."""
        while data:
            size, start = (int.from_bytes(data[2:4]), 4) if data[1] == 126 else (data[1], 2)
            self.frames.append(json.loads(data[start : start + size]))
            data = data[start + size :]

    def is_closing(self) -> bool:
        """Be open."""
        return False

    def get_write_buffer_size(self) -> int:
        """Say how much waits."""
        return self.waiting

    def abort(self) -> None:
        """Note it."""
        self.frames.append("aborted")


class TestSession:
    """Hold one session to its promises."""

    def setup_method(self) -> None:
        """Make a session between a held chat and a recording wire."""
        self.chat, self.wire, self.rooms = HeldChat(), Wire(), Rooms(lambda _: None)
        limits = Limits(pending_events=3)
        self.shared = Shared(
            verifier=Verifier({}),
            chat=cast("Chat", self.chat),
            rooms=self.rooms,
            limits=limits,
            rates=Rates(limits),
            metrics=ChatMetrics(CollectorRegistry()),
            extensions=Extensions(),
        )
        self.session = Session(
            shared=self.shared,
            claims=Claims(1, "ada", "Ada", None, None, auth_time=0, iat=0, exp=0),
            version=Version.V2,
            outlet=Outlet(cast("asyncio.Transport", self.wire), most=100, on_drop=lambda: None),
        )

    def push(self, event: str, payload: Any = None, *, ref: str = "1", join_ref: str = "11") -> None:
        """Hand over a client's message."""
        self.session.receive(Message(TOPIC, event, payload or {}, ref=ref, join_ref=join_ref))

    def tell(self, text: str, message_id: int) -> None:
        """Tell the room something."""
        self.rooms.deliver(Told(TOPIC, "shout", {"text": text}, message_id))

    async def settle(self) -> None:
        """Let what can run, run, and rooms hear what they are to be told."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.rooms.flush_all()

    def told(self) -> list[str]:
        """Return what came of broadcasts."""
        return [frame[4]["text"] for frame in self.wire.frames if frame[3] == "shout"]

    async def test_what_is_told_during_a_join_comes_behind_its_reply(self) -> None:
        """Miss nothing between the question and the answer."""
        self.push("phx_join")
        await self.settle()
        self.tell("meanwhile", 5)
        assert self.wire.frames == []
        self.chat.may_go.set()
        await self.settle()

        assert [frame[3] for frame in self.wire.frames] == ["phx_reply", "shout"]

    async def test_a_shout_is_timed_and_one_that_is_refused_is_not(self) -> None:
        """Only what is told counts as a message."""
        metrics = self.shared.metrics
        with metrics.time_shout():
            pass
        with pytest.raises(Refusal), metrics.time_shout():
            raise Refusal("unknown event")

        (family,) = metrics.shout_seconds.collect()
        assert [sample.value for sample in family.samples if sample.name.endswith("_count")] == [1]

    async def test_what_the_replay_holds_is_not_told_again(self) -> None:
        """Skip what is in the reply, however late its broadcast comes."""
        self.push("phx_join", {"last_message_id": 3})
        await self.settle()
        self.tell("five", 5)
        self.tell("seven", 7)
        self.chat.missed = [{"id": 4}, {"id": 5}]
        self.chat.may_go.set()
        await self.settle()
        self.tell("five", 5)
        self.tell("eight", 8)
        await self.settle()

        assert self.told() == ["seven", "eight"]

    async def test_who_is_cut_during_a_join_is_not_let_in(self) -> None:
        """Refuse, though the question was answered yes a moment before."""
        self.push("phx_join")
        await self.settle()
        self.rooms.deliver(Cut(TOPIC, "ada"))
        self.chat.may_go.set()
        await self.settle()
        self.tell("secret", 5)

        assert [frame[4] for frame in self.wire.frames] == [{"status": "error", "response": {"reason": "unauthorized"}}]
        assert len(self.rooms) == 0

    async def test_a_leave_during_a_join_leaves_nobody_behind(self) -> None:
        """Answer the leave, and let the join's answer fall."""
        self.push("phx_join")
        await self.settle()
        self.push("phx_leave", ref="2")
        self.chat.may_go.set()
        await self.settle()

        assert [(frame[1], frame[3]) for frame in self.wire.frames] == [("2", "phx_reply"), ("11", "phx_close")]
        assert len(self.rooms) == 0

    async def test_a_close_during_a_join_leaves_nobody_behind(self) -> None:
        """Leave the room of a socket that is gone."""
        self.push("phx_join")
        await self.settle()
        closing = asyncio.create_task(self.session.close())
        await self.settle()
        self.chat.may_go.set()
        await closing

        assert len(self.rooms) == 0

    async def test_a_close_right_behind_a_join_leaves_nobody_behind(self) -> None:
        """Enter no room for a socket that is gone before its join had its turn."""
        self.chat.may_go.set()
        self.push("phx_join")
        await self.session.close()

        assert len(self.rooms) == 0

    async def test_a_socket_that_closes_finishes_what_was_said(self) -> None:
        """Store the last words of a client that is gone."""
        self.chat.may_go.set()
        self.push("phx_join")
        await self.settle()
        self.chat.may_go.clear()
        self.push("shout", {"message": "a"}, ref="2")
        closing = asyncio.create_task(self.session.close())
        await self.settle()
        self.chat.may_go.set()
        await closing

        assert self.chat.shouts == [{"message": "a"}]

    async def test_shouts_need_not_wait_for_each_other_and_what_is_behind_them_waits(self) -> None:
        """Hand them all to the writer at once, up to the first other event, and take that and the rest in turn."""
        self.chat.may_go.set()
        self.push("phx_join")
        await self.settle()
        handed: list[int] = []
        for events in (("shout", "shout"), ("shout", "ping", "shout")):
            self.chat.may_go.clear()
            for event in events:
                self.push(event, {"message": event}, ref=event)
            handed.append(self.chat.taken)
            self.chat.may_go.set()
            await self.settle()

        assert handed == [2, 3]
        assert len(self.chat.shouts) == 4
        assert [(frame[1], frame[4]["status"]) for frame in self.wire.frames[1:]] == [("ping", "ok")]

    async def test_what_nobody_foresaw_ends_the_channel_only(self) -> None:
        """Send phx_error, and let the client join again."""
        self.chat.may_go.set()
        self.push("phx_join")
        await self.settle()
        self.chat.error = ZeroDivisionError("a bug")
        self.push("shout", {"message": "a"}, ref="2")
        await self.settle()
        self.chat.error = None
        self.push("phx_join", ref="3", join_ref="12")
        await self.settle()

        assert [(frame[0], frame[1], frame[3]) for frame in self.wire.frames] == [
            ("11", "1", "phx_reply"),
            ("11", "11", "phx_error"),
            ("12", "3", "phx_reply"),
        ]
        assert self.wire.frames[1][4] == {}

    async def test_a_database_that_is_away_refuses_and_keeps_the_channel(self) -> None:
        """Refuse the join, then the shout, with the reason."""
        self.chat.may_go.set()
        self.chat.error = DatabaseUnavailable("The database does not answer; try again soon.")
        self.push("phx_join")
        await self.settle()
        self.chat.error = None
        self.push("phx_join", ref="2")
        await self.settle()
        self.chat.error = DatabaseUnavailable("The database does not answer; try again soon.")
        self.push("shout", {"message": "a"}, ref="3")
        await self.settle()
        self.chat.error = Refusal("unauthorized")
        self.push("shout", {"message": "a"}, ref="4")
        await self.settle()

        assert [(frame[1], frame[4]["status"]) for frame in self.wire.frames] == [
            ("1", "error"),
            ("2", "ok"),
            ("3", "error"),
            ("4", "error"),
        ]

    @pytest.mark.parametrize("how", ["cut", "leave"])
    async def test_a_whisper_that_waited_too_long_is_not_told(self, how: str) -> None:
        """Whisper behind a shout that hangs, and be gone before it is stored: the room hears no more of them."""
        self.chat.may_go.set()
        self.push("phx_join")
        await self.settle()
        self.push("whisper", {"n": 1}, ref="2")
        self.chat.may_go.clear()
        self.push("shout", {"message": "slow"}, ref="3")
        self.push("whisper", {"n": 2}, ref="4")
        await self.settle()
        if how == "cut":
            self.rooms.deliver(Cut(TOPIC, "ada"))
        else:
            self.push("phx_leave", ref="5")
        self.chat.may_go.set()
        await self.settle()

        assert self.chat.whispers == [{"n": 1}]
        refused = [frame[4] for frame in self.wire.frames if frame[1] == "4"]
        assert refused == [{"status": "error", "response": {"reason": "unmatched topic"}}]

    async def test_a_process_that_stops_takes_nothing_new(self) -> None:
        """Refuse what comes from then on, finish what came before, and answer heartbeats."""
        self.chat.may_go.set()
        self.push("phx_join")
        await self.settle()
        self.chat.may_go.clear()
        self.push("shout", {"message": "before"}, ref="2")
        await self.settle()
        self.shared.is_stopping = True
        self.push("shout", {"message": "after"}, ref="3")
        self.session.receive(Message("phoenix", "heartbeat", {}, ref="4"))
        self.chat.may_go.set()
        await self.session.settle()

        assert self.chat.shouts == [{"message": "before"}]
        assert [(frame[1], frame[4]["status"]) for frame in self.wire.frames[1:]] == [("3", "error"), ("4", "ok")]
        assert self.wire.frames[1][4]["response"] == {"reason": "this process is restarting; connect again"}

    async def test_too_many_waiting_events_are_refused(self) -> None:
        """Bound the inbox; heartbeats pass by it."""
        self.push("phx_join")
        for ref in ("2", "3", "4"):
            self.push("shout", {"message": ref}, ref=ref)
        self.session.receive(Message("phoenix", "heartbeat", {}, ref="5"))
        await self.settle()

        assert [(frame[1], frame[4]["status"]) for frame in self.wire.frames] == [("4", "error"), ("5", "ok")]
        self.chat.may_go.set()
        await self.settle()
        assert [shout["message"] for shout in self.chat.shouts] == ["2", "3"]

    async def test_a_reply_comes_behind_what_the_room_was_told_before(self) -> None:
        """Keep the order of a topic, though broadcasts wait for the end of the turn and replies do not."""
        self.chat.may_go.set()
        self.push("phx_join")
        await self.settle()
        self.tell("first", 5)
        self.push("ping", ref="2")

        assert [frame[3] for frame in self.wire.frames] == ["phx_reply", "shout", "phx_reply"]

    async def test_a_full_buffer_drops_the_reader_once(self) -> None:
        """Abort, and write nothing more."""
        self.chat.may_go.set()
        self.push("phx_join")
        await self.settle()
        self.wire.waiting = 101
        self.tell("a", 5)
        await self.settle()
        self.wire.waiting = 0
        self.tell("b", 6)
        await self.settle()

        assert [frame if isinstance(frame, str) else frame[3] for frame in self.wire.frames] == ["phx_reply", "aborted"]
