"""Begin a session at a login and renew it until its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from services.auth.errors import LoginRefused, SessionOver
from services.auth.merging import Merger
from services.auth.providers import Provider
from services.auth.store import Store, User
from services.errors import PeerUnavailable
from services.peers import Peer
from services.tokens import LIFETIME_SECONDS, Claims, Signer

# A chat service that is being replaced is away for a moment; a login waits through it.
RETRY_PAUSES = (0.2, 0.5)
# All attempts together, for one that neither answers nor refuses.
CHAT_SECONDS = 5.0


class Sessions:
    """Log people in and mint their tokens.

    Args:
        store: the users.
        chat: the chat service's internal port.
        merger: makes one person of rows that repeat a uid.
        signer: what mints.
        providers: who may vouch for people, by the name that a login gives.
        session_seconds: how long a session may be renewed.
        clock: the present, in seconds since 1970.
    """

    def __init__(
        self,
        *,
        store: Store,
        chat: Peer,
        merger: Merger,
        signer: Signer,
        providers: Mapping[str, Provider],
        session_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._chat = chat
        self._merger = merger
        self._signer = signer
        self._providers = providers
        self._session_seconds = session_seconds
        self._clock = clock

    async def login(self, provider: str, token: str) -> dict[str, Any]:
        """Return the user with a token, after both the row and the chat user exist.

        Raises:
            LoginRefused: nobody we trust vouches for them.
            PeerUnavailable: the chat service is away; the next login heals it.
            AccountLeaving: their former account is being deleted.
        """
        if provider not in self._providers:
            raise LoginRefused("This login provider is not on here.", code="unknown_provider")
        user = await self._store.find_or_create(await self._providers[provider](token))
        await self._ensure_chat_user(user)
        await self._merger.merge(user)
        await self._store.confirm(user)
        return {**user.public(), "token": self._mint(user, auth_time=int(self._clock()))}

    async def refresh(self, claims: Claims) -> str:
        """Return a new token for the session of an old one.

        Raises:
            SessionOver: the session has reached its age, or its user is gone.
        """
        if self._clock() >= claims.auth_time + self._session_seconds:
            raise SessionOver("The session has reached its age; log in again.")
        user = await self._store.find(claims.id)
        # The identity guards against an id that a restored or emptied database gave to somebody else.
        if user is None or user.identity != claims.identity:
            raise SessionOver("The user of this session is gone.", code="user_gone")
        return self._mint(user, auth_time=claims.auth_time)

    def _mint(self, user: User, *, auth_time: int) -> str:
        now = int(self._clock())
        expires = min(now + LIFETIME_SECONDS, auth_time + self._session_seconds)
        return self._signer.mint(user.public(), auth_time=auth_time, expires=expires, now=now)

    async def _ensure_chat_user(self, user: User) -> None:
        """Make the chat user, or learn that it is there.

        Every login asks, and the call is idempotent: a chat service that was away, or restored from an older backup,
        is healed by the next login.
        """
        body = {"name": user.name or "", "identity": user.identity}
        try:
            async with asyncio.timeout(CHAT_SECONDS):
                for pause in RETRY_PAUSES:
                    try:
                        await self._chat.post("/internal/users", body)
                    except PeerUnavailable:
                        await asyncio.sleep(pause)
                    else:
                        return
                await self._chat.post("/internal/users", body)
        except TimeoutError as error:
            raise PeerUnavailable("The chat service does not answer; try again soon.") from error
