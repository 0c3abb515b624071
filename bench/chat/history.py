"""Ask what a page and a commit cost beside ten million messages, by the service's own routes and statements."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.chat.ground import Ground, Row, message_figures
from bench.chat.load import run_load
from bench.chat.machine import cpu_seconds
from bench.chat.plan import Load, Room
from bench.chat.stack import Stack
from services.chat import sql
from services.chat.store import MAX_ID, PAGE_SIZE

MESSAGES, ROOMS, MEMBERS = 10_000_000, 10_000, 20
PEOPLE, CROWD, HUGE_MEMBERS = 10_000, 10_000, 1_000
PAGES, CROWD_PAGES = 200, 30
SPEAKING_ROOMS = 25

# Rows get the ids that this arithmetic needs: the tables are empty.
_PEOPLE = """
INSERT INTO users (id, identity, friendly_name, inserted_at, updated_at)
SELECT n, 'reader_' || n, 'Reader ' || n, now(), now() FROM generate_series(1, $1::int) AS n
"""
_ROOMS = """
INSERT INTO channels (id, topic, friendly_name, inserted_at, updated_at)
SELECT n, 'history-' || n, 'Room ' || n, now(), now() FROM generate_series(1, $1::int) AS n
"""
# Of room r, the people (r - 1) * 20 and those after them, round and round.
_MEMBERS = """
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at)
SELECT r, ((r - 1) * $2::int + k) % $3::int + 1, true, now(), now()
FROM generate_series(1, $1::int) AS r CROSS JOIN generate_series(0, $2::int - 1) AS k ORDER BY r, k
"""
_CROWD = """
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at)
SELECT $1::int, n, true, now(), now() FROM generate_series($2::int, $3::int) AS n
"""
# Each tenth message is the huge room's; the others are spread over all, so that a room's rows lie far apart.
_MESSAGES = """
INSERT INTO messages (channel_id, member_id, type, body, inserted_at, updated_at)
SELECT room, CASE WHEN room = $2::bigint THEN $3::bigint ELSE (room - 1) * $4::bigint + 1 + n % $4::bigint END, 'chat',
  'A line of chat, about as long as people write: ' || n, now(), now()
FROM (
  SELECT n, CASE WHEN n % 10 = 0 THEN $2::bigint ELSE 1 + (n / 10 * 9 + n % 10) * 7919 % ($2::bigint - 1) END AS room
  FROM generate_series(1, $1::bigint) AS n
) AS said
"""
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'messages' AND indexname <> 'messages_pkey'
"""


@dataclass(frozen=True)
class Filled:
    """Say what is in the tables.

    Attributes:
        rooms: ordinary ones; the huge one has the next id, the crowd the one after it.
        seconds: that it took to fill and index the table of messages.
        gigabytes: of that table with its indexes.
        count: of its rows.
    """

    rooms: int
    seconds: float
    gigabytes: float
    count: int

    @property
    def huge(self) -> int:
        """The room with a tenth of all messages."""
        return self.rooms + 1

    @property
    def crowd(self) -> int:
        """The room with ten thousand members."""
        return self.rooms + 2


def measure_history(ground: Ground) -> list[Row]:
    """Fill the tables, then ask for pages and store messages."""
    with ground.stack() as stack:
        rooms = ground.of(ROOMS, least=SPEAKING_ROOMS)
        asyncio.run(_people(stack, ground, rooms))
        speaking = _speaking(stack, rooms, ground.of(PEOPLE, least=MEMBERS))
        before = _commits("commits into empty tables", ground, stack, speaking)
        filled = asyncio.run(_messages(stack, ground, rooms))
        print(f"{filled.count:,} messages in {filled.seconds:.0f} s: {filled.gigabytes:.2f} GB", flush=True)
        pages = [_pages(what, stack, asked) for what, asked in _asked(filled, ground).items()]
        plans = asyncio.run(_plans(stack, filled))
        for what, plan in plans.items():
            print(f"{what}: {plan}", flush=True)
        after = _commits(f"commits beside {filled.count:,} messages", ground, stack, speaking)
    return [before, after, *pages, Row("plans of the page", plans)]


async def _people(stack: Stack, ground: Ground, rooms: int) -> None:
    people, crowd = ground.of(PEOPLE, least=MEMBERS), ground.of(CROWD, least=MEMBERS)
    connection = await asyncpg.connect(stack.postgres.url("chat"))
    try:
        await connection.execute(_PEOPLE, people + crowd)
        await connection.execute(_ROOMS, rooms + 2)
        await connection.execute(_MEMBERS, rooms, MEMBERS, people)
        await connection.execute(_CROWD, rooms + 1, 1, min(people, HUGE_MEMBERS))
        await connection.execute(_CROWD, rooms + 2, people + 1, people + crowd)
        await connection.execute("ANALYZE users, channels, members")
    finally:
        await connection.close()


async def _messages(stack: Stack, ground: Ground, rooms: int) -> Filled:
    """Fill the table as a dump is restored: without looking up what a row refers to, and with indexes at the end."""
    connection = await asyncpg.connect(stack.postgres.url("chat"))
    try:
        await connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        await connection.execute("SELECT pg_reload_conf()")
        started = time.monotonic()
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("SET maintenance_work_mem = '1GB'")
        indexes = await connection.fetch(_INDEXES)
        for index in indexes:
            await connection.execute(f'DROP INDEX "{index["indexname"]}"')
        huge_member = rooms * MEMBERS + 1
        await connection.execute(_MESSAGES, ground.of(MESSAGES), rooms + 1, huge_member, MEMBERS, timeout=600)
        for index in indexes:
            await connection.execute(index["indexdef"], timeout=600)
        # As a server would have done before long; else it would begin in the midst of it.
        await connection.execute("VACUUM ANALYZE messages", timeout=600)
        seconds = time.monotonic() - started
        await connection.execute("CHECKPOINT", timeout=600)
        size = await connection.fetchval("SELECT pg_total_relation_size('messages')")
        count = await connection.fetchval("SELECT count(*) FROM messages", timeout=600)
    finally:
        await connection.close()
    return Filled(rooms, seconds, size / 1e9, count)


def _speaking(stack: Stack, rooms: int, people: int) -> tuple[Room, ...]:
    chosen = range(1, rooms, max(1, rooms // SPEAKING_ROOMS))
    return tuple(
        Room(
            f"room:history-{room}",
            tuple(stack.mint(f"reader_{((room - 1) * MEMBERS + place) % people + 1}") for place in range(MEMBERS)),
        )
        for room in list(chosen)[:SPEAKING_ROOMS]
    )


def _commits(what: str, ground: Ground, stack: Stack, rooms: tuple[Room, ...]) -> Row:
    load = Load("phoenix", stack.urls, rooms, messages=ground.of(1200, least=100), rate=200)
    outcome = run_load(load, python=ground.python, servers=stack.servers)
    return Row(what, message_figures(outcome, MEMBERS), outcome.is_clean, outcome.as_json())


def _asked(filled: Filled, ground: Ground) -> dict[str, list[tuple[str, str]]]:
    """Return for each kind of page whom to be and what to ask for."""
    pages, middle = ground.of(PAGES, least=10), filled.count // 2
    ordinary = [1 + number * 37 % filled.rooms for number in range(pages)]
    people = ground.of(PEOPLE, least=MEMBERS)
    first = [f"reader_{(room - 1) * MEMBERS % people + 1}" for room in ordinary]
    deep = f"events?last_message_id={middle}"
    # Not one person for all: a person's requests are limited.
    in_huge = [f"reader_{1 + number % min(people, HUGE_MEMBERS)}" for number in range(pages)]
    in_crowd = [f"reader_{people + 1 + number}" for number in range(ground.of(CROWD_PAGES, least=10))]
    in_rooms = [f"reader_{people - number}" for number in range(pages)]
    return {
        "first page of an ordinary room": [(who, f"{room}/events") for who, room in zip(first, ordinary, strict=True)],
        "a page from its middle": [(who, f"{room}/{deep}") for who, room in zip(first, ordinary, strict=True)],
        "first page of the huge room, 1,000 members": [(who, f"{filled.huge}/events") for who in in_huge],
        "a page from its middle, 1,000 members": [(who, f"{filled.huge}/{deep}") for who in in_huge],
        "first page of a room of 10,000 members": [(who, f"{filled.crowd}/events") for who in in_crowd],
        "the rooms of somebody who is in 20": [(who, "") for who in in_rooms],
    }


def _pages(what: str, stack: Stack, asked: Sequence[tuple[str, str]]) -> Row:
    tokens = {who: stack.mint(who) for who, _ in asked}
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    waits, sizes = [], []
    pids = {name: stack.servers[name] for name in ("chat", "postgres")}
    used = {name: cpu_seconds(pid) for name, pid in pids.items()}
    for who, path in asked:
        started = time.monotonic()
        connection.request("GET", f"/channels/{path}".rstrip("/"), headers={"Authorization": f"Bearer {tokens[who]}"})
        answer = connection.getresponse()
        body = answer.read()
        waits.append((time.monotonic() - started) * 1e3)
        sizes.append(len(body))
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path} was answered with {answer.status}: {body[:200]!r}")
    connection.close()
    each = {name: round((cpu_seconds(pid) - used[name]) / len(asked) * 1e6) for name, pid in pids.items()}
    waits.sort()
    figures: dict[str, float | str] = {
        "p50 ms": round(waits[len(waits) // 2], 2),
        "p99 ms": round(waits[len(waits) * 99 // 100], 2),
        "chat us/page": each["chat"],
        "postgres us/page": each["postgres"],
        "KB/page": round(sum(sizes) / len(sizes) / 1e3, 1),
    }
    return Row(what, figures, raw={"pages": len(asked)})


async def _plans(stack: Stack, filled: Filled) -> dict[str, float | str]:
    """Return how Postgres reads a page: the kinds of its steps, rows and blocks."""
    connection = await asyncpg.connect(stack.postgres.url("chat"))
    plans: dict[str, float | str] = {}
    try:
        for what, room, before in (
            ("ordinary room", 1, MAX_ID),
            ("huge room", filled.huge, MAX_ID),
            ("huge room, from its middle", filled.huge, filled.count // 2),
        ):
            words = await connection.fetchval(
                "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql.PAGE, room, before, PAGE_SIZE + 1, []
            )
            plans[what] = _describe(json.loads(words)[0])
    finally:
        await connection.close()
    return plans


def _describe(plan: dict[str, Any]) -> str:
    steps, node = [], plan["Plan"]
    blocks = node.get("Shared Hit Blocks", 0) + node.get("Shared Read Blocks", 0)
    while True:
        steps.append(node["Node Type"] + (f" {node['Index Name']}" if "Index Name" in node else ""))
        if not node.get("Plans"):
            break
        node = node["Plans"][0]
    return f"{' < '.join(steps)}: {node['Actual Rows']:.0f} rows, {blocks} blocks, {plan['Execution Time']:.2f} ms"
