"""Hold what all sockets of a process share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.chat.chat import Chat, read_object
from services.chat.errors import Refusal
from services.chat.extensions import Extensions
from services.chat.limits import Limits
from services.chat.metrics import ChatMetrics
from services.chat.rates import Rates
from services.chat.room import Rooms
from services.tokens import Verifier


@dataclass(slots=True)
class Shared:
    """Be the surroundings of every session.

    Attributes:
        verifier: of tokens.
        chat: what can be done.
        rooms: where sockets listen.
        limits: what clients may do at most.
        rates: what people have left of it.
        metrics: what is counted.
        extensions: the features beyond the core.
        is_stopping: whether nothing new is taken, so that what is under way can end.
    """

    verifier: Verifier
    chat: Chat
    rooms: Rooms
    limits: Limits
    rates: Rates
    metrics: ChatMetrics
    extensions: Extensions
    is_stopping: bool = False

    def renew(self, identity: str, payload: Any) -> int:
        """Take a newer token, as Supabase's clients hand it over on a live socket.

        Args:
            identity: whose socket it is.
            payload: {"access_token": "<jwt>"}.

        Returns:
            When the person logged in for it.

        Raises:
            Refusal: it is no token, or somebody else's.
            TokenError: it is not ours, or over.
        """
        token = read_object(payload).get("access_token")
        if not isinstance(token, str):
            raise Refusal("access_token must be a string")
        claims = self.verifier.verify(token)
        if claims.identity != identity:
            raise Refusal("access_token speaks for somebody else")
        return claims.auth_time
