"""Delete a person everywhere, and go on with it after a crash until nothing is left."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.auth.deletions import Deletion, Deletions
from services.auth.errors import SessionOver
from services.errors import DatabaseUnavailable, PeerUnavailable, RequestError
from services.peers import Peer
from services.tokens import Claims

# How long the request waits for the deletion that it began; the background goes on with what is not done by then.
ANSWER_SECONDS = 5.0
# More requests at once leave it to the background altogether.
MOST_AT_ONCE = 3
# How long one attempt may take: a person with very many messages needs several, each of which gets further.
ATTEMPT_SECONDS = 30.0
# How often the background looks for what is due.
POLL_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Accounts:
    """Delete accounts.

    Args:
        deletions: which are to be deleted.
        chat: the chat service's internal port.
        notifications: the notifications service's internal port.
        registry: where deletions are counted.
    """

    def __init__(self, deletions: Deletions, chat: Peer, notifications: Peer, registry: CollectorRegistry) -> None:
        self._deletions = deletions
        # In this order: when the chat has forgotten somebody, nobody pushes to them any more.
        self._peers = (chat, notifications)
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._is_closing = False
        # Of the attempts under way; closing ends them early.
        self._timeouts: set[asyncio.Timeout] = set()
        self._attempts = Counter(
            "stampchat_account_deletions_total", "Attempts to delete an account.", ("outcome",), registry=registry
        )
        self._pending = Gauge(
            "stampchat_account_deletions_pending", "Accounts that are not wholly deleted yet.", registry=registry
        )

    async def delete(self, claims: Claims) -> bool:
        """Delete the bearer's account; when this returns, it is stored that it shall be.

        Returns:
            Whether nothing is left of it already.

        Raises:
            SessionOver: the account is gone already.
        """
        uid = await self._deletions.request(claims.id, claims.identity)
        if uid is None:
            raise SessionOver("The user of this session is gone.", code="user_gone")
        # Each holds a connection of the pool while it waits for the others; logins need some, too.
        if not self._slots.locked():
            # A connection that is cut meanwhile takes nothing back of what is stored already.
            async with self._slots:
                with suppress(DatabaseUnavailable):
                    await self.attempt(uid, seconds=ANSWER_SECONDS)
        is_done = not await self._deletions.is_pending(uid)
        if not is_done:
            self._wake.set()
        return is_done

    async def attempt(self, uid: str | None = None, *, seconds: float = ATTEMPT_SECONDS) -> bool:
        """Try to finish one deletion that is due.

        Args:
            uid: whose; anybody's unless told.
            seconds: how long the other services may take.

        Returns:
            Whether there was one that no other process is at.

        Raises:
            DatabaseUnavailable: what is done elsewhere stays done, and the rest is tried again.
        """
        async with self._deletions.claim(uid) as (connection, deletion):
            if deletion is None:
                return False
            fields: dict[str, Any] = {"deletion": deletion.id, "attempts": deletion.attempts + 1}
            try:
                await self._delete_elsewhere(deletion, seconds)
            except (RequestError, TimeoutError) as error:
                await self._deletions.put_off(connection, deletion)
                self._attempts.labels("put_off").inc()
                fields["reason"] = str(error) or type(error).__name__
                logger.warning("an account is not deleted yet", extra={"fields": fields})
            else:
                await self._deletions.finish(connection, deletion)
                self._attempts.labels("done").inc()
                logger.info("an account is deleted", extra={"fields": fields})
        return True

    async def run(self) -> None:
        """Finish what is unfinished, now and for ever after; several processes may do so at once."""
        while not self._is_closing:
            self._wake.clear()
            try:
                while not self._is_closing and await self.attempt():
                    pass
                self._pending.set(await self._deletions.count())
            except Exception as error:  # noqa: BLE001  # whatever it is, deletions must go on after it
                logger.warning("deletions have to wait", extra={"fields": {"reason": repr(error)}})
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    def close(self) -> None:
        """Let run() end soon; what it is at is put off, for the next process."""
        self._is_closing = True
        self._wake.set()
        for timeout in self._timeouts:
            timeout.reschedule(0)

    async def _delete_elsewhere(self, deletion: Deletion, seconds: float) -> None:
        minted_before = int(deletion.requested_at.timestamp())
        async with asyncio.timeout(seconds) as timeout:
            self._timeouts.add(timeout)
            try:
                for peer in self._peers:
                    for identity in deletion.identities:
                        path = f"/internal/users/{quote(identity, safe='')}?minted_before={minted_before}"
                        await _delete_at(peer, path)
            finally:
                self._timeouts.discard(timeout)


async def _delete_at(peer: Peer, path: str) -> None:
    """Ask until it is done: a service does as much as fits into one call and says whether that was all."""
    while True:
        match await peer.delete(path):
            case {"deleted": True}:
                return
            case {"deleted": False}:
                continue
            case _:
                raise PeerUnavailable("Another service did not say whether the person is deleted.")
