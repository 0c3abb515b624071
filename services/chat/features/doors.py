"""Let people in who take part in a room, however they name it, and hold everybody to a pace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from services.chat.errors import Refusal
from services.chat.keys import STORE
from services.chat.models import Place
from services.chat.routes import path_id
from services.errors import Invalid, NotFound, TooManyRequests
from services.rate_limits import Buckets
from services.web import authenticate

MINUTE = 60.0


class Pace:
    """Bound how often one person does something.

    Args:
        count: of times, which may also be at once.
        seconds: in which.
    """

    def __init__(self, count: int, seconds: float = MINUTE) -> None:
        self._buckets = Buckets(count / seconds, count)

    def check(self, who: str | int) -> None:
        """Count one time.

        Args:
            who: an identity, or what stands for one.

        Raises:
            TooManyRequests: it was one too many.
        """
        wait = math.ceil(self._buckets.take(str(who)))
        if wait:
            raise TooManyRequests(f"rate limited: try again in {wait} s", retry_after=wait)


async def find_place(request: web.Request) -> Place:
    """Return the caller's place in the room that the path names.

    Raises:
        NotAuthenticated: no good bearer.
        NotFound: the caller takes no part in such a room.
    """
    claims = authenticate(request)
    return await request.app[STORE].find_place(claims.identity, path_id(request))


@contextmanager
def refusing() -> Iterator[None]:
    """Answer a call with what an event would be refused with.

    Raises:
        NotFound: the caller takes no part in the room any more.
        Invalid: a field breaks a rule.
    """
    try:
        yield
    except Refusal as error:
        if error.reason == "unauthorized":
            raise NotFound("There is no such channel.") from error
        raise Invalid(f"The request does not fit: {error.reason}.") from error
