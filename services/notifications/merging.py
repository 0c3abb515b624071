"""Let a person have the devices of another, when the two turn out to be one."""

from __future__ import annotations

from services.database import Database


class Merger:
    """Merge people.

    Args:
        database: where their devices are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def merge(self, into: str, gone: str) -> None:
        """Move devices, and what waits for them; again is once.

        A device may then stand there twice, and is told once.
        """
        async with self._database.transaction() as connection:
            await connection.execute("UPDATE tokens SET identity = $1 WHERE identity = $2", into, gone)
            await connection.execute("UPDATE deliveries SET identity = $1 WHERE identity = $2", into, gone)
