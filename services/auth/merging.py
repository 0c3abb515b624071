"""Make one person of those whom the original stored under several names: the oldest row is the user.

An identity is built of a name and a uid. The original could store a uid twice, the second time with another name, and
the person then had two chat users with rooms and devices of their own. What points at the younger follows the oldest,
at the first login of such a uid.
"""

from __future__ import annotations

import logging

from services.auth.store import Store, User
from services.errors import PeerUnavailable
from services.peers import Peer

PATH = "/internal/users/merge"

logger = logging.getLogger(__name__)


class Merger:
    """Let the other services merge a person's identities.

    Args:
        store: the users.
        chat: the chat service's internal port.
        notifications: the notifications service's internal port.
    """

    def __init__(self, store: Store, chat: Peer, notifications: Peer) -> None:
        self._store = store
        self._chat = chat
        self._notifications = notifications

    async def merge(self, user: User) -> None:
        """Merge whatever is not merged yet; for nearly everybody that is nothing.

        Raises:
            PeerUnavailable: the chat is away, and the person would miss their rooms. Devices can wait for the next
                login: an app registers its own at each start.
        """
        others = await self._store.find_unmerged(user)
        if not others:
            return
        bodies = [
            {"into": user.identity, "from": identity}
            for identity in sorted({other.identity for other in others} - {user.identity})
        ]
        for body in bodies:
            await self._chat.post(PATH, body)
        try:
            for body in bodies:
                await self._notifications.post(PATH, body)
        except PeerUnavailable as error:
            logger.warning("devices are not merged yet", extra={"fields": {"user": user.id, "reason": error.message}})
            return
        await self._store.mark_merged([other.id for other in others])
        logger.info("rows of one person are merged", extra={"fields": {"user": user.id, "rows": len(others)}})
