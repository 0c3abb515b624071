"""Read the plan of every statement of the services, on a million messages: none may read a table that grows as a whole.

The plans are generic ones: what Postgres makes without knowing the values, and keeps for a prepared statement. The
statements are found and not listed (statements.py), so that a new one is looked at without anybody's thinking of it.
"""

# ruff: noqa: S608  # statements of tests, put together from constants

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from services.chat import sql, unread
from tests.services.postgres import PostgresServer
from tests.services.storage.conftest import Adopted, execute, run_apart
from tests.services.storage.original import BIG_ROOM, ROOMS, USERS
from tests.services.storage.statements import Statement, find_statements

# Tables that stay small, or that nothing of ours reads.
SMALL = {
    "chat_info_messages",
    "stampchat_migrations",
    "schema_migrations",
    "knex_migrations",
    "knex_migrations_lock",
}
# What the million messages leave empty; a table that is new has to be filled here.
FILL = {
    "auth": f"""
INSERT INTO deletions (uid, user_id, identities, due_at)
SELECT 'dev-' || n, n, ARRAY['person' || n || '_dev-' || n], now() + n * interval '1 minute'
FROM generate_series(1, {USERS}) AS n;
""",
    "chat": f"""
INSERT INTO blocks (blocker_id, blocked_id, inserted_at)
SELECT 1 + n % {USERS}, 1 + (n * 7 + 3) % {USERS}, '2021-02-01' FROM generate_series(1, {USERS}) AS n;
INSERT INTO reports (inserted_at, reporter_id, reported_id, channel_id, message_id, reason, handled_at)
SELECT '2021-02-01', 1 + n % {USERS}, 1 + (n * 7 + 3) % {USERS}, 1 + n % {ROOMS}, n, 'rude',
  CASE WHEN n % 50 > 0 THEN '2021-02-02'::timestamp END
FROM generate_series(1, {USERS}) AS n;
INSERT INTO push_outbox (message_ids, due_at)
SELECT ARRAY[n], now() + n * interval '1 second' FROM generate_series(1, {USERS}) AS n;
UPDATE members SET last_read_message_id = 900000 WHERE id % 2 = 0;
UPDATE messages SET edited_at = inserted_at WHERE id % 1000 = 0;
UPDATE messages SET deleted_at = inserted_at, body = '' WHERE id % 1000 = 1;
""",
    "notifications": f"""
INSERT INTO departures (identity, minted_before, forget_at)
SELECT 'gone' || n, now(), now() + n * interval '1 second' FROM generate_series(1, {USERS}) AS n;
INSERT INTO deliveries (key, identity, fcm_token, collapse_key, rank, payload, state, due_at, expires_at, done_at)
SELECT 'message-' || n, 'person' || n % {USERS} || '_dev-' || n % {USERS}, 'device-' || n % {USERS} || '-1',
  'room-' || n % {ROOMS}, n, '{{}}', CASE WHEN n % 100 = 0 THEN 'waiting' WHEN n % 100 = 1 THEN 'dead' ELSE 'sent' END,
  now() + n * interval '1 second', now() + interval '1 day', CASE WHEN n % 100 > 1 THEN now() END
FROM generate_series(1, 100000) AS n;
""",
}
# Statements that may read a whole table, with the reason.
ALLOWED = {
    "SELECT count(*) FROM deletions": "a gauge; the rows are accounts that are being deleted, and go within seconds",
}
# A table of so few pages is read as a whole where that costs less; what matters is whether it need not be.
FEW_PAGES = 250

Plan: TypeAlias = "dict[str, Any]"
STATEMENTS = find_statements()


@pytest.fixture(scope="module")
def databases(adopted: Adopted, postgres: PostgresServer) -> Iterator[dict[str, str]]:
    """Copy what was adopted and fill what is still empty."""
    admin, names = postgres.url("postgres"), {service: f"plans_{service}" for service in adopted.names}

    async def fill(service: str, name: str) -> None:
        await execute(admin, f"CREATE DATABASE {name} TEMPLATE {adopted.names[service]} STRATEGY file_copy")
        await execute(postgres.url(name), FILL[service], "VACUUM ANALYZE")

    for service, name in names.items():
        run_apart(fill(service, name))
    yield {service: postgres.url(name) for service, name in names.items()}
    run_apart(execute(admin, *(f"DROP DATABASE {name} WITH (FORCE)" for name in names.values())))


@pytest.fixture(scope="module")
def plans(databases: dict[str, str]) -> dict[Statement, Plan | str]:
    """Ask for every plan; a word instead where Postgres cannot parse a statement."""

    async def ask() -> dict[Statement, Plan | str]:
        found: dict[Statement, Plan | str] = {}
        for service, url in databases.items():
            connection = await asyncpg.connect(url, statement_cache_size=0)
            for statement in STATEMENTS:
                if statement.service == service:
                    found[statement] = await _explain(connection, statement.sql)
            await connection.close()
        return found

    return run_apart(ask())


@pytest.fixture(scope="module")
def partial(databases: dict[str, str]) -> set[str]:
    """Name the indexes that hold only some rows: reading one of these as a whole is what they are for."""

    async def ask(url: str) -> set[str]:
        connection = await asyncpg.connect(url)
        rows = await connection.fetch("SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL")
        await connection.close()
        return {row[0] for row in rows}

    return set().union(*(run_apart(ask(url)) for url in databases.values()))


@pytest.mark.parametrize("service", FILL)
def test_every_table_that_grows_has_rows(databases: dict[str, str], service: str) -> None:
    """The plan of an empty table says nothing of a full one."""

    async def count() -> dict[str, int]:
        connection = await asyncpg.connect(databases[service])
        rows = await connection.fetch(
            "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        await connection.close()
        return {row["relname"]: row["reltuples"] for row in rows}

    counts = run_apart(count())
    assert {table for table, rows in counts.items() if rows < 1000} - SMALL == set()


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_no_statement_reads_a_growing_table_as_a_whole(
    plans: dict[Statement, Plan | str], partial: set[str], statement: Statement
) -> None:
    """Each finds its rows by an index and a condition on it, or takes the first few in an index's order."""
    plan = plans[statement]
    assert isinstance(plan, dict), f"{statement}: {plan}"
    assert statement.sql in ALLOWED or list(_whole(plan, partial)) == [], json.dumps(plan, indent=1)


def test_a_statement_without_an_index_is_found(databases: dict[str, str], partial: set[str]) -> None:
    """The test bites: these are what it is for."""

    async def ask() -> list[Plan | str]:
        connection = await asyncpg.connect(databases["chat"])
        texts = (
            "SELECT FROM messages WHERE body = $1",
            "SELECT count(*) FROM messages",
            "SELECT max(x_pos) FROM stamps",
        )
        found = [await _explain(connection, text) for text in texts]
        await connection.close()
        return found

    for plan in run_apart(ask()):
        assert isinstance(plan, dict)
        assert list(_whole(plan, partial))


@pytest.fixture
async def connection(databases: dict[str, str]) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect to the filled chat database."""
    connection = await asyncpg.connect(databases["chat"])
    yield connection
    await connection.close()


@pytest.mark.parametrize("before", [2**62, 500_000, 100, 1], ids=["newest", "middle", "oldest", "none"])
async def test_a_page_reads_a_page(connection: asyncpg.Connection[asyncpg.Record], before: int) -> None:
    """Whichever page of half a million messages, 61 are read: the page, and one to know whether there are more."""
    assert await _read(connection, "messages", sql.PAGE, BIG_ROOM, before, 61, []) <= 61


async def test_a_replay_reads_what_it_returns(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """However much was missed, one more than may be replayed is read."""
    assert await _read(connection, "messages", sql.AFTER, BIG_ROOM, 1000, 201, []) <= 201


async def test_a_list_of_rooms_reads_one_message_a_room(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """And counts what is unread up to a bound."""
    rooms = "SELECT count(*) FROM members WHERE user_id = 1 AND is_participant"
    read = await _read(connection, "messages", sql.LIST_ROOMS, "person1_dev-1")

    assert read <= (1 + unread.MOST_LOOKED_AT) * await connection.fetchval(rooms)


async def _read(connection: asyncpg.Connection[asyncpg.Record], table: str, statement: str, *values: object) -> float:
    """Return how many rows of a table a statement really reads."""
    explained = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
    return sum(
        float(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * float(node["Actual Loops"])
        for node in _nodes(_plan(explained))
        if node.get("Relation Name") == table
    )


async def _explain(connection: asyncpg.Connection[asyncpg.Record], statement: str) -> Plan | str:
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    try:
        plan = await _explain_generic(connection, statement)
        read = [node["Relation Name"] for node in _nodes(plan) if node["Node Type"] == "Seq Scan"]
        pages = "SELECT coalesce(max(relpages), 0) FROM pg_class WHERE relname = ANY($1)"
        if read and await connection.fetchval(pages, read) <= FEW_PAGES:
            await connection.execute("SET enable_seqscan = off")
            plan = await _explain_generic(connection, statement)
    except asyncpg.PostgresError as error:
        return str(error)
    finally:
        await connection.execute("SET enable_seqscan = on")
    return plan


async def _explain_generic(connection: asyncpg.Connection[asyncpg.Record], statement: str) -> Plan:
    values = max((int(number) for number in re.findall(r"\$(\d+)", statement)), default=0)
    arguments = f"({', '.join(['NULL'] * values)})" if values else ""
    await connection.execute(f"PREPARE looked_at AS {statement}")
    explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE looked_at {arguments}")
    await connection.execute("DEALLOCATE looked_at")
    return _plan(explained)


def _plan(explained: str) -> Plan:
    plan: Plan = json.loads(explained)[0]["Plan"]
    return plan


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _whole(plan: Plan, partial: set[str], *, few: bool = False) -> Iterator[str]:
    """Yield the tables that a plan reads as a whole, by themselves or through an index without a condition."""
    few = few or plan["Node Type"] == "Limit"
    kind, table = str(plan["Node Type"]), str(plan.get("Relation Name", plan.get("Index Name")))
    if kind == "Seq Scan":
        # The first few rows, whichever they are, are few.
        if table not in SMALL and not (few and "Filter" not in plan):
            yield table
    elif kind.endswith("Index Scan") or kind == "Index Only Scan":
        is_bound = "Index Cond" in plan or few or plan["Index Name"] in partial
        if not is_bound and table not in SMALL:
            yield table
    # What sorts or counts reads everything below it, whatever stands above.
    stops = kind in {"Sort", "Aggregate", "Hash", "WindowAgg"}
    for child in plan.get("Plans", ()):
        yield from _whole(child, partial, few=few and not stops)
