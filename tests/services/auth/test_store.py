from __future__ import annotations

import asyncpg
import pytest

from services.auth.providers import Profile
from services.auth.store import Store
from services.database import open_database
from services.migrations import migrate
from services.settings import DatabaseSettings
from tests.services.auth.conftest import MIGRATIONS
from tests.services.conftest import MakeDatabase

# By the original's column definitions (knex).
ORIGINAL = """
CREATE TABLE knex_migrations (id serial PRIMARY KEY, name varchar(255), batch integer, migration_time timestamptz);
CREATE TABLE knex_migrations_lock (index serial PRIMARY KEY, is_locked integer);
CREATE TABLE users (
  id serial PRIMARY KEY, uid varchar(255) NOT NULL, name varchar(255), email varchar(255), picture varchar(255)
);
INSERT INTO users (uid, name, email) VALUES
  ('u1', 'Ada', 'ada@example.com'), ('u1', 'Ada', 'ada@example.com'), ('u2', NULL, NULL), ('u2', 'Bob', NULL);
"""


@pytest.fixture
async def database(make_database: MakeDatabase) -> DatabaseSettings:
    """Make one empty database: what migrates it is tested."""
    return await make_database()


async def test_the_originals_database_is_adopted_with_every_row(database: DatabaseSettings) -> None:
    """Rows that repeat a uid stay, the oldest is the user, and new rows go on counting."""
    connection = await asyncpg.connect(database.url.reveal())
    await connection.execute(ORIGINAL)
    before = await connection.fetch("SELECT id, uid, name, email, picture FROM users ORDER BY id")

    assert await migrate(database, MIGRATIONS) == ["users", "deletions", "merges"]

    assert await connection.fetch("SELECT id, uid, name, email, picture FROM users ORDER BY id") == before
    await connection.close()
    async with open_database(database) as opened:
        store = Store(opened)
        assert (await store.find_or_create(Profile(uid="u1", name="Renamed"))).identity == "ada_u1"
        assert (await store.find_or_create(Profile(uid="u2", name="Bob"))).identity == "_u2"
        assert (await store.find_or_create(Profile(uid="u3", name="Cy"))).id == 5


async def test_a_user_of_a_uid_is_found_by_index(database: DatabaseSettings) -> None:
    """No login reads the whole table, which may be large."""
    await migrate(database, MIGRATIONS)
    connection = await asyncpg.connect(database.url.reveal())
    await connection.execute("INSERT INTO users (uid) SELECT 'u' || n FROM generate_series(1, 20000) AS n")
    await connection.execute("ANALYZE users")
    plan = await connection.fetch("EXPLAIN SELECT id FROM users WHERE uid = 'u7' ORDER BY id LIMIT 1")
    await connection.close()

    text = "\n".join(row[0] for row in plan)
    assert "users_uid_id_index" in text
    assert "Sort" not in text
