"""Keep deliveries in Postgres: stored once a key and device, claimed for a while, settled, and purged in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from services.database import Connection, Database
from services.notifications.push import Delivery, Notice, Payload

# A purge holds its locks for one of these at a time.
PURGE_ROWS = 1000
# What a gauge counts to; more than this is too many all the same.
COUNT_ROWS = 10_000

# Ordered, so that two who store the same things wait for each other and do not stand in each other's way.
_STORE = """
WITH notes AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[])
    WITH ORDINALITY AS n (key, collapse_key, rank, payload, number)
), devices AS MATERIALIZED (
  SELECT DISTINCT ON (n.key, k.fcm_token)
    n.number, n.key, n.collapse_key, n.rank, n.payload, k.fcm_token, k.identity, a.badge
  FROM unnest($5::bigint[], $6::text[], $7::int[]) AS a (number, identity, badge)
  JOIN notes n ON n.number = a.number
  JOIN tokens k ON k.identity = a.identity
  ORDER BY n.key, k.fcm_token, a.badge DESC NULLS LAST
), added AS (
  INSERT INTO deliveries (key, identity, fcm_token, collapse_key, rank, badge, payload, expires_at)
  SELECT key, identity, fcm_token, collapse_key, rank, badge, payload, now() + $8 * interval '1 second'
  FROM devices ORDER BY fcm_token, key
  ON CONFLICT (fcm_token, key) DO NOTHING
  RETURNING key, fcm_token
)
SELECT d.number, count(*) AS devices, count(added.key) AS stored,
  array_agg(added.fcm_token) FILTER (WHERE added.key IS NOT NULL AND d.collapse_key <> '') AS tokens
FROM devices d LEFT JOIN added USING (key, fcm_token)
GROUP BY d.number
"""
# What is being sent at this moment collapses too: should that try fail, there is no other.
_COLLAPSE = """
WITH older AS MATERIALIZED (
  SELECT d.id FROM deliveries d
  WHERE d.fcm_token = ANY($1::text[]) AND d.state = 'waiting' AND d.collapse_key <> '' AND EXISTS (
    SELECT FROM deliveries newer
    WHERE newer.fcm_token = d.fcm_token AND newer.collapse_key = d.collapse_key AND newer.rank > d.rank
      AND newer.state IN ('waiting', 'sent')
  )
  FOR UPDATE SKIP LOCKED
)
UPDATE deliveries SET state = 'collapsed', payload = '', done_at = now()
FROM older WHERE deliveries.id = older.id
"""
# A device that was unregistered, or changed hands, since it was stored is told nothing.
_CLAIM = """
WITH due AS MATERIALIZED (
  SELECT id FROM deliveries WHERE state = 'waiting' AND due_at <= now()
  ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET attempts = attempts + 1, due_at = now() + $2 * interval '1 second'
FROM due WHERE d.id = due.id
RETURNING d.id, d.fcm_token, d.collapse_key, d.badge, d.payload, d.attempts,
  extract(epoch FROM d.expires_at - now())::float8 AS seconds_left,
  EXISTS (SELECT FROM tokens k WHERE k.identity = d.identity AND k.fcm_token = d.fcm_token) AS is_registered
"""
# Who was so slow that somebody else has claimed the row since has nothing more to say of it, nor has a failure of what
# a newer one has replaced.
_SETTLE = """
UPDATE deliveries d SET
  state = s.state,
  reason = s.reason,
  due_at = now() + s.wait * interval '1 second',
  done_at = CASE WHEN s.state <> 'waiting' THEN now() END,
  payload = CASE WHEN s.state IN ('waiting', 'dead') THEN d.payload ELSE '' END
FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::float8[])
  AS s (id, attempts, state, reason, wait)
WHERE d.id = s.id AND d.attempts = s.attempts AND (s.state = 'sent' OR d.state = 'waiting')
"""
_FORGET = "DELETE FROM tokens WHERE fcm_token = ANY($1::text[])"
_FORGET_WAITING = """
UPDATE deliveries SET state = 'gone', payload = '', done_at = now(), reason = 'the device is gone'
WHERE fcm_token = ANY($1::text[]) AND state = 'waiting'
"""
_PURGE = """
DELETE FROM deliveries WHERE id = ANY(ARRAY(
  SELECT id FROM deliveries WHERE state = ANY($1::text[]) AND done_at < now() - $2 * interval '1 second' LIMIT $3
))
"""
_COUNT = """
SELECT
  (SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 'waiting' LIMIT $1) AS w) AS waiting,
  (SELECT count(*) FROM (SELECT FROM deliveries WHERE state = 'dead' LIMIT $1) AS w) AS dead,
  coalesce(extract(epoch FROM now() - (
    SELECT inserted_at FROM deliveries WHERE state = 'waiting' ORDER BY due_at LIMIT 1
  )), 0)::float8 AS oldest_seconds
"""


@dataclass(frozen=True)
class Stored:
    """Say what storing a notice did.

    Attributes:
        devices: how many the people have.
        stored: for how many of them it was not stored before.
    """

    devices: int
    stored: int


@dataclass(frozen=True)
class Settled:
    """Say what is to become of a claimed delivery.

    Attributes:
        delivery: which.
        state: sent, gone, dead, or waiting.
        reason: why.
        wait: seconds until the next try.
    """

    delivery: Delivery
    state: str
    reason: str = ""
    wait: float = 0.0


@dataclass(frozen=True)
class Counts:
    """Say what the outbox holds, up to COUNT_ROWS of each.

    Attributes:
        waiting: to be sent.
        dead: given up.
        oldest_seconds: the age of the one that is due first.
    """

    waiting: int
    dead: int
    oldest_seconds: float


class Outbox:
    """Store, claim, settle and purge deliveries.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, notices: Sequence[Notice], ttl_seconds: float) -> list[Stored]:
        """Store notices for every device of their people, all in one commit.

        Args:
            notices: what to tell; one whose key was stored for a device before is not stored for it again.
            ttl_seconds: how long they are worth sending.
        """
        targets = [
            (number, identity, notice.badges.get(identity))
            for number, notice in enumerate(notices, 1)
            for identity in notice.identities
        ]
        columns = [list(column) for column in zip(*targets, strict=True)] if targets else [[], [], []]
        async with self._database.transaction() as connection:
            rows = await connection.fetch(
                _STORE,
                [notice.key for notice in notices],
                [notice.collapse_key for notice in notices],
                [notice.rank for notice in notices],
                [msgspec.json.encode(notice.payload).decode() for notice in notices],
                *columns,
                ttl_seconds,
            )
            tokens = {token for row in rows for token in row["tokens"] or ()}
            if tokens:
                await connection.execute(_COLLAPSE, sorted(tokens))
        found = {row["number"]: Stored(row["devices"], row["stored"]) for row in rows}
        return [found.get(number, Stored(0, 0)) for number in range(1, len(notices) + 1)]

    async def claim(self, most: int, lease_seconds: float) -> list[Delivery]:
        """Take deliveries that are due; who does not settle them within the lease loses them again."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_CLAIM, most, lease_seconds)
        return [
            Delivery(
                id=row["id"],
                token=row["fcm_token"],
                payload=msgspec.json.decode(row["payload"], type=Payload),
                collapse_key=row["collapse_key"],
                badge=row["badge"],
                attempts=row["attempts"],
                seconds_left=row["seconds_left"],
                is_registered=row["is_registered"],
            )
            for row in rows
        ]

    async def settle(self, settled: Sequence[Settled]) -> None:
        """Write down what became of claimed deliveries, and forget the devices that are gone."""
        gone = sorted({one.delivery.token for one in settled if one.state == "gone" and one.delivery.is_registered})
        rows = [(one.delivery.id, one.delivery.attempts, one.state, one.reason, one.wait) for one in settled]
        columns = [list(column) for column in zip(*rows, strict=True)]
        if not gone:
            async with self._database.connection() as connection:
                await connection.execute(_SETTLE, *columns)
            return
        async with self._database.transaction() as connection:
            await connection.execute(_SETTLE, *columns)
            await forget(connection, gone)

    async def purge(self, states: Sequence[str], keep_seconds: float) -> int:
        """Delete some of what was settled long ago; return how many."""
        async with self._database.connection() as connection:
            status = await connection.execute(_PURGE, list(states), keep_seconds, PURGE_ROWS)
        return int(status.rpartition(" ")[2])

    async def count(self) -> Counts:
        """Count what is in the outbox."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_COUNT, COUNT_ROWS)
        assert row is not None  # noqa: S101  # a SELECT without FROM returns its row
        return Counts(**dict(row))


async def forget(connection: Connection, tokens: Sequence[str]) -> None:
    """Forget devices, and what waits for them."""
    await connection.execute(_FORGET, tokens)
    await connection.execute(_FORGET_WAITING, tokens)
