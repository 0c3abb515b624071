"""Look again, every few minutes, whether the people behind open sockets still have an account."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from services.background import beside
from services.database import Database
from services.errors import Unavailable

if TYPE_CHECKING:
    from services.chat.socket import Sockets

# One statement for many people, and a list that Postgres plans as an index lookup each.
BATCH = 1000

_KNOWN = """
SELECT u.identity FROM users u
WHERE u.identity = ANY($1::text[]) AND u.duplicate_of IS NULL AND u.deleted_at IS NULL
"""

logger = logging.getLogger(__name__)


async def find_known(database: Database, identities: Collection[str]) -> set[str]:
    """Return those who have an account.

    Raises:
        DatabaseUnavailable: it cannot be told now.
    """
    asked = sorted(identities)
    known: set[str] = set()
    for start in range(0, len(asked), BATCH):
        async with database.connection() as connection:
            known.update(row["identity"] for row in await connection.fetch(_KNOWN, asked[start : start + BATCH]))
    return known


@asynccontextmanager
async def rechecking(sockets: Sockets, database: Database, seconds: float) -> AsyncIterator[None]:
    """Look every so many seconds, until the block ends."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await sockets.recheck(lambda identities: find_known(database, identities))
            except Unavailable as error:
                # The sockets stay: whoever is gone can store nothing, and the next look finds them.
                logger.warning("accounts were not rechecked", extra={"fields": {"code": error.code}})

    async with beside(watch()):
        yield
