"""Find out what a commit has stored whose end nobody saw, before anything newer is told.

A database that goes away in the middle of a commit may have carried it out. Whoever spoke is told that it failed, and
sends it again; by then it is stored, under the same id of the client's, and would be told to nobody any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from services.chat.models import ChatMessage


class Memory(Protocol):
    """Be what the database remembers, as Table does."""

    async def newest_message(self) -> int:
        """Return the greatest id there is; 0 when there is none."""

    async def said_since(self, member_ids: Sequence[int], message_id: int) -> list[tuple[str, ChatMessage]]:
        """Return what these members have said after a message, oldest first, each with its room's topic."""


class Doubts:
    """Remember whose commits are in doubt, and up to where everything was told when each began.

    This process is the only one that writes what it tells, and has one commit of a room under way at a time: so
    whatever of those members lies behind that was theirs.

    Args:
        memory: the database; none where nothing is ever in doubt.
    """

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._told: int | None = None
        self._members: dict[int, set[int]] = {}
        self._lock = asyncio.Lock()

    @property
    def told(self) -> int:
        """The greatest id that was told so far."""
        return self._told or 0

    def tell(self, message: ChatMessage) -> None:
        """Remember that a message was told, or is known not to have to be."""
        self._told = max(self.told, message.id)

    def doubt(self, member_ids: Iterable[int], told: int) -> None:
        """Remember members whose commit was not seen to end.

        Args:
            member_ids: who spoke.
            told: the greatest id that was told when their commit began.
        """
        self._members.setdefault(told, set()).update(member_ids)

    async def settle(self) -> list[tuple[str, ChatMessage]]:
        """Return what was stored after all and never told, oldest first; to be asked before every commit.

        It has to be told before the next wait, since the other commit goes on when this returns.

        Raises:
            RequestError: the database is still away; the doubt stays.
        """
        if self._memory is None or (self._told is not None and not self._members):
            return []
        async with self._lock:
            if self._told is None:
                self._told = await self._memory.newest_message()
            asked = {told: sorted(members) for told, members in self._members.items()}
            found: list[tuple[str, ChatMessage]] = []
            for told in sorted(asked):
                found += await self._memory.said_since(asked[told], told)
            # The other commit may have come into doubt meanwhile.
            for told, members in asked.items():
                self._members[told].difference_update(members)
            self._members = {told: members for told, members in self._members.items() if members}
            return found
