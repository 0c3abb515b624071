"""Push in the background: bounded, in words that a device shows, and never in a message's way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.chat.models import ChatMessage
from services.chat.notify import MAX_QUEUE, Notifier
from services.chat.store import PushTargets
from services.errors import DatabaseUnavailable, PeerUnavailable

NOW = datetime(2026, 1, 1)  # noqa: DTZ001  # naive, as the database has it


def message(number: int, member_id: int | None = 1, body: str = "hi") -> ChatMessage:
    """Make a message that somebody said."""
    return ChatMessage(number, NOW, 1, member_id, "chat", body, ())


class TestNotifier:
    """Hold the notifier to its bounds."""

    def setup_method(self) -> None:
        """Make a notifier before a service that can be held and broken."""
        self.calls: list[Any] = []
        self.drops = 0
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.store_error: Exception | None = None
        self.peer_error: Exception | None = None
        self.notifier = Notifier(self.find, self, self.drop)

    def drop(self) -> None:
        """Count what is given up."""
        self.drops += 1

    async def find(self, member_ids: Iterable[int]) -> Mapping[int, PushTargets]:
        """Be Store.push_targets: the first member has others, everybody else is alone."""
        await self.may_go.wait()
        if self.store_error is not None:
            raise self.store_error
        return {1: PushTargets("Room", "Ada", ["bob"])} if 1 in set(member_ids) else {}

    async def post(self, path: str, body: object) -> object:
        """Be the notifications service."""
        if self.peer_error is not None:
            raise self.peer_error
        self.calls.append((path, body))
        return {}

    async def test_a_push_names_room_sender_and_text(self) -> None:
        """Call once a message, not for who is alone, and cut what no device shows."""
        for item in (message(1), message(2, member_id=9), message(3, member_id=None), message(4, body="x" * 9000)):
            self.notifier.notify(item)
        await self.notifier.close(5)

        first = {
            "identities": ["bob"],
            "notification": {"title": "Room", "body": "Ada: hi"},
            "data": {"click_action": "FLUTTER_NOTIFICATION_CLICK"},
        }
        assert self.calls[0] == ("/internal/notify", first)
        assert len(self.calls) == 2
        assert len(self.calls[1][1]["notification"]["body"]) == 1000

    async def test_the_oldest_is_dropped_when_too_much_waits(self) -> None:
        """Bound the queue while the other side is slow."""
        self.may_go.clear()
        for number in range(MAX_QUEUE + 5):
            self.notifier.notify(message(number))
        self.may_go.set()
        await self.notifier.close(5)

        assert self.drops == 5
        assert len(self.calls) == MAX_QUEUE

    async def test_what_fails_is_given_up_and_the_next_is_tried(self) -> None:
        """Outlive a database and a service that are away, and a bug."""
        for store_error, peer_error in [
            (DatabaseUnavailable("away"), None),
            (None, PeerUnavailable("away")),
            (ZeroDivisionError("a bug"), None),
            (None, None),
        ]:
            self.store_error, self.peer_error = store_error, peer_error
            self.notifier.notify(message(1))
            await self.notifier.close(5)

        assert self.drops == 3
        assert len(self.calls) == 1

    async def test_a_stopping_process_does_not_wait_for_ever(self) -> None:
        """Give up what does not end in time."""
        self.may_go.clear()
        self.notifier.notify(message(1))
        await self.notifier.close(0.05)

        assert self.calls == []
