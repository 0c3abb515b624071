from __future__ import annotations

import asyncpg
import pytest

from services.database import open_database
from services.migrations import migrate
from services.notifications.store import Store
from services.settings import DatabaseSettings
from tests.services.conftest import MakeDatabase
from tests.services.notifications.conftest import MIGRATIONS

# By the original's column definitions (knex).
ORIGINAL = """
CREATE TABLE knex_migrations (id serial PRIMARY KEY, name varchar(255), batch integer, migration_time timestamptz);
CREATE TABLE tokens (
  id serial PRIMARY KEY, inserted_at timestamptz DEFAULT CURRENT_TIMESTAMP,
  identity varchar(255) NOT NULL, fcm_token varchar(255) NOT NULL
);
INSERT INTO tokens (identity, fcm_token) VALUES
  ('ada_1', 'phone'), ('ada_1', 'phone'), ('ada_1', 'tablet'), ('bob_2', 'phone');
INSERT INTO tokens (identity, fcm_token, inserted_at) VALUES ('cy_3', 'old', NULL);
"""


@pytest.fixture
async def database(make_database: MakeDatabase) -> DatabaseSettings:
    """Make one empty database: what migrates it is tested."""
    return await make_database()


async def test_the_originals_database_is_adopted_with_every_row(database: DatabaseSettings) -> None:
    """Repeated tokens stay as rows and are one push."""
    connection = await asyncpg.connect(database.url.reveal())
    await connection.execute(ORIGINAL)
    before = await connection.fetch("SELECT * FROM tokens ORDER BY id")

    assert await migrate(database, MIGRATIONS) == ["tokens", "departures", "deliveries"]

    assert await connection.fetch("SELECT * FROM tokens ORDER BY id") == before
    await connection.close()
    async with open_database(database) as opened:
        store = Store(opened)
        assert await store.devices(["ada_1", "bob_2", "nobody"]) == ["phone", "tablet"]
        assert (await store.register("ada_1", "phone")).id == 1
        assert (await store.register("cy_3", "old")).public()["inserted_at"] is None
        assert await store.devices(["bob_2"]) == []
