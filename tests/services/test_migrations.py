from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from services.errors import MigrationError
from services.migrations import Migration, load_migrations, migrate
from services.settings import DatabaseSettings, Secret

SHIPPED = sorted(Path("services").resolve().glob("*/migrations"))
CONCURRENTLY = """-- no transaction
DROP INDEX CONCURRENTLY IF EXISTS a_id_idx;
CREATE UNIQUE INDEX CONCURRENTLY a_id_idx ON a (id);
"""


def write(folder: Path, **files: str) -> Path:
    """Write migrations; _001_first="SQL"."""
    for name, sql in files.items():
        (folder / f"{name.removeprefix('_')}.sql").write_text(sql)
    return folder


@pytest.fixture
async def connection(database: DatabaseSettings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect to the test's database."""
    connection = await asyncpg.connect(database.url.reveal())
    yield connection
    await connection.close()


async def test_each_step_is_applied_once(database: DatabaseSettings, tmp_path: Path) -> None:
    """A second run has nothing to do."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int); CREATE TABLE b (id int)", _002_second="SELECT 1")

    assert await migrate(database, folder) == ["first", "second"]
    assert await migrate(database, folder) == []


async def test_many_at_once_apply_each_step_once(database: DatabaseSettings, tmp_path: Path) -> None:
    """Replicas that start together do not trip over each other, nor over an index that is built concurrently."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int)", _002_second="INSERT INTO a VALUES (1)")
    write(folder, _003_third=CONCURRENTLY)

    applied = await asyncio.gather(*(migrate(database, folder) for _ in range(8)))

    assert sorted(name for names in applied for name in names) == ["first", "second", "third"]


@pytest.mark.parametrize("service", ["auth", "chat", "notifications"])
async def test_many_processes_migrate_at_once(database: DatabaseSettings, tmp_path: Path, service: str) -> None:
    """As the init containers of a new deployment do."""
    url = tmp_path / "url"
    url.write_text(database.url.reveal())
    command = (sys.executable, "-m", f"services.{service}", "migrate")
    environ = {"STAMPCHAT_DATABASE_URL_FILE": str(url)}
    processes = [
        await asyncio.create_subprocess_exec(*command, env=environ, stderr=asyncio.subprocess.PIPE) for _ in range(4)
    ]

    outcomes = await asyncio.gather(*(process.communicate() for process in processes))

    assert [process.returncode for process in processes] == [0] * 4, outcomes
    folder = next(folder for folder in SHIPPED if folder.parent.name == service)
    assert await migrate(database, folder) == []


async def test_a_failing_step_leaves_nothing_and_keeps_the_earlier_ones(
    database: DatabaseSettings, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """The error names the step; a corrected file goes on from there."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int)", _002_second="CREATE TABLE b (id int); SELECT nope")

    with pytest.raises(MigrationError, match="002_second failed"):
        await migrate(database, folder)

    tables = "SELECT to_regclass('a') IS NOT NULL, to_regclass('b') IS NOT NULL"
    assert tuple(await connection.fetchrow(tables) or ()) == (True, False)
    write(tmp_path, _002_second="CREATE TABLE b (id int)")
    assert await migrate(database, folder) == ["second"]


async def test_a_connection_that_is_cut_in_a_step_leaves_nothing(
    database: DatabaseSettings, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """The process ends with an error that says so, and the next one does the work."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int); SELECT pg_sleep(60)")
    running = asyncio.create_task(migrate(database, folder))
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)' AND state = 'active'"
    while not await connection.fetch(cut + " AND pid <> pg_backend_pid()"):  # noqa: ASYNC110  # it has no event for it
        await asyncio.sleep(0.01)

    with pytest.raises(MigrationError, match="001_first"):
        await running

    write(folder, _001_first="CREATE TABLE a (id int)")
    assert await migrate(database, folder) == ["first"]


async def test_a_step_without_transaction_begins_anew_after_a_crash(
    database: DatabaseSettings, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """What a failed CREATE INDEX CONCURRENTLY leaves is an index that is kept up and never used."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1)")
    write(folder, _002_second=CONCURRENTLY)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('a_id_idx')"

    with pytest.raises(MigrationError, match="002_second failed: could not create unique index"):
        await migrate(database, folder)
    assert await connection.fetchval(valid) is False
    await connection.execute("DELETE FROM a")

    assert await migrate(database, folder) == ["second"]
    assert await connection.fetchval(valid) is True


async def test_an_index_is_built_while_others_write(
    database: DatabaseSettings, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """It waits for transactions that began before it, and they do not wait for it."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int)")
    await migrate(database, folder)
    write(folder, _002_second=CONCURRENTLY)

    watching = await asyncpg.connect(database.url.reveal())
    async with connection.transaction():
        await connection.execute("INSERT INTO a VALUES (1)")
        running = asyncio.create_task(migrate(database, folder))
        building = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query ~ '^\\s*CREATE UNIQUE INDEX')"
        while not await watching.fetchval(building):  # noqa: ASYNC110  # the server has no event to wait for
            await asyncio.sleep(0.01)
        await connection.execute("INSERT INTO a VALUES (2)")
        assert not running.done()

    assert await running == ["second"]
    await watching.close()


async def test_a_step_does_not_make_everybody_wait_for_a_table_that_somebody_holds(
    database: DatabaseSettings,
    connection: asyncpg.Connection[asyncpg.Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It gives way, so that reads behind it go on, and tries again until the table is free."""
    monkeypatch.setattr("services.migrations.LOCK_TIMEOUT", "20ms")
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int)")
    await migrate(database, folder)
    write(folder, _002_second="ALTER TABLE a ADD COLUMN b int")
    other = await asyncpg.connect(database.url.reveal())

    async with connection.transaction():
        await connection.execute("SELECT FROM a")
        running = asyncio.create_task(migrate(database, folder))
        for _ in range(20):
            await other.fetch("SELECT FROM a", timeout=30)
            await asyncio.sleep(0.01)
        assert not running.done()

    assert await running == ["second"]
    await other.close()


async def test_a_table_that_is_never_free_ends_the_wait(
    database: DatabaseSettings,
    connection: asyncpg.Connection[asyncpg.Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wait has the deadline of the wait for the database."""
    monkeypatch.setattr("services.migrations.LOCK_TIMEOUT", "20ms")
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int)")
    await migrate(database, folder)
    write(folder, _002_second="ALTER TABLE a ADD COLUMN b int")

    async with connection.transaction():
        await connection.execute("SELECT FROM a")
        with pytest.raises(MigrationError, match="002_second waits for a lock"):
            await migrate(DatabaseSettings(url=database.url, migrate_seconds=1), folder)


async def test_a_newer_database_is_accepted_for_a_rollback(
    database: DatabaseSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every step is safe with the version before it, which says what it does not know."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int)", _002_second="SELECT 1")
    await migrate(database, folder)
    (folder / "002_second.sql").unlink()

    assert await migrate(database, folder) == []
    assert "the database is newer than this version" in caplog.text


async def test_a_step_that_was_changed_after_it_was_applied_is_refused(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    """Databases that have it and databases that get it would differ; a comment makes no difference."""
    folder = write(tmp_path, _001_first="-- Why.\nCREATE TABLE a (id int);\n")
    await migrate(database, folder)

    write(folder, _001_first="-- Why, in better words.\nCREATE TABLE a (id int);\n\n")
    assert await migrate(database, folder) == []
    write(folder, _001_first="CREATE TABLE a (id bigint);\n")
    with pytest.raises(MigrationError, match="001_first was changed after it was applied"):
        await migrate(database, folder)


async def test_a_step_of_another_branch_is_refused(database: DatabaseSettings, tmp_path: Path) -> None:
    """The same number with another name is another step."""
    await migrate(database, write(tmp_path, _001_first="SELECT 1"))
    (tmp_path / "001_first.sql").rename(tmp_path / "001_other.sql")

    with pytest.raises(MigrationError, match=r"'first' where this version has 001_other"):
        await migrate(database, tmp_path)


async def test_books_without_checksums_are_gone_on_with(
    database: DatabaseSettings, connection: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    """The first version kept none; what was applied then counts as what the files say now."""
    await connection.execute("CREATE TABLE stampchat_migrations (number integer PRIMARY KEY, name text NOT NULL)")
    await connection.execute("INSERT INTO stampchat_migrations VALUES (1, 'first')")
    folder = write(tmp_path, _001_first="SELECT 1", _002_second="SELECT 2")

    assert await migrate(database, folder) == ["second"]

    write(folder, _001_first="SELECT 3")
    with pytest.raises(MigrationError, match="001_first was changed"):
        await migrate(database, folder)


async def test_a_database_that_stays_away_ends_the_wait(tmp_path: Path) -> None:
    """The wait has a deadline and says what the last attempt heard."""
    away = DatabaseSettings(url=Secret(f"postgresql://postgres@/x?host={tmp_path}"), migrate_seconds=1)

    with pytest.raises(MigrationError, match="did not answer within 1 s"):
        await migrate(away, tmp_path)


@pytest.mark.parametrize("name", ["1_short", "_001-first", "_002_gap"])
def test_misnamed_and_misnumbered_files_are_refused(tmp_path: Path, name: str) -> None:
    """A file that would be skipped in silence is an error."""
    write(tmp_path, **{name: "SELECT 1"})

    with pytest.raises(MigrationError):
        load_migrations(tmp_path)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.parent.name)
def test_what_ships_is_well_formed(folder: Path) -> None:
    """A step without transaction can run twice; no other builds or drops an index concurrently."""
    for migration in load_migrations(folder):
        if migration.in_transaction:
            assert "CONCURRENTLY" not in "".join(migration.statements), migration.title
        for statement in () if migration.in_transaction else migration.statements:
            assert re.match(r"\s*(DROP INDEX CONCURRENTLY IF EXISTS|CREATE (UNIQUE )?INDEX CONCURRENTLY) ", statement)
            if name := re.match(r"\s*CREATE (?:UNIQUE )?INDEX CONCURRENTLY (\w+) ", statement):
                assert any(f"DROP INDEX CONCURRENTLY IF EXISTS {name[1]}" in other for other in migration.statements)


def test_statements_end_where_their_line_does() -> None:
    """A semicolon elsewhere does not end one."""
    migration = Migration(1, "a", "-- no transaction\nSELECT ';' AS a,\n  1;\n\n-- And;\nSELECT 2;\n")

    assert [statement.split() for statement in migration.statements] == [
        ["SELECT", "';'", "AS", "a,", "1"],
        ["SELECT", "2"],
    ]
