from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from services.errors import MigrationError
from services.migrations import load_migrations, migrate
from services.settings import DatabaseSettings, Secret


def write(folder: Path, **files: str) -> Path:
    """Write migrations; 001_first="SQL"."""
    for name, sql in files.items():
        (folder / f"{name.removeprefix('_')}.sql").write_text(sql)
    return folder


async def test_each_step_is_applied_once(database: DatabaseSettings, tmp_path: Path) -> None:
    """A second run has nothing to do."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int); CREATE TABLE b (id int)", _002_second="SELECT 1")

    assert await migrate(database, folder) == ["first", "second"]
    assert await migrate(database, folder) == []


async def test_many_at_once_apply_each_step_once(database: DatabaseSettings, tmp_path: Path) -> None:
    """Replicas that start together do not trip over each other."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int)", _002_second="INSERT INTO a VALUES (1)")

    applied = await asyncio.gather(*(migrate(database, folder) for _ in range(8)))

    assert sorted(name for names in applied for name in names) == ["first", "second"]


async def test_a_failing_step_leaves_nothing_and_keeps_the_earlier_ones(
    database: DatabaseSettings, tmp_path: Path
) -> None:
    """The error names the step; a corrected file goes on from there."""
    folder = write(tmp_path, _001_first="CREATE TABLE a (id int)", _002_second="CREATE TABLE b (id int); SELECT nope")

    with pytest.raises(MigrationError, match="002_second failed"):
        await migrate(database, folder)

    connection = await asyncpg.connect(database.url.reveal())
    assert tuple(
        await connection.fetchrow("SELECT to_regclass('a') IS NOT NULL, to_regclass('b') IS NOT NULL") or ()
    ) == (True, False)
    await connection.close()
    write(tmp_path, _002_second="CREATE TABLE b (id int)")
    assert await migrate(database, folder) == ["second"]


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
