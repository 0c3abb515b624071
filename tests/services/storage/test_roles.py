"""Run as roles that may do what they need and no more: no superuser, and none that owns what it only uses."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from services.errors import MigrationError
from services.migrations import migrate
from services.settings import Secret
from tests.services.postgres import PostgresServer
from tests.services.storage import original
from tests.services.storage.conftest import OpenHouse, execute, in_database
from tests.services.storage.house import SERVICES

# As docs/databases.md has it, for the role of the run time.
GRANTS = (Path(__file__).parents[3] / "docs" / "databases.md").read_text().split("```sql\n")[2].split("```")[0]


@dataclass(frozen=True)
class Roles:
    """Hold the addresses of one database for two roles.

    Attributes:
        admin: of the superuser.
        owner: of one that may connect, and make tables in the schema public.
        app: of one that may connect.
    """

    admin: str
    owner: str
    app: str


@pytest.fixture
async def roles(postgres: PostgresServer) -> AsyncIterator[dict[str, Roles]]:
    """Make a database for each service that is not its roles' own."""
    admin = await asyncpg.connect(postgres.url("postgres"))
    names = [f"role_{secrets.token_hex(4)}" for _ in range(2)]
    databases = {service: f"roles_{service}_{secrets.token_hex(4)}" for service in SERVICES}
    for name in names:
        await admin.execute(f"CREATE ROLE {name} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")
    for database in databases.values():
        await admin.execute(f"CREATE DATABASE {database}")
        await execute(
            postgres.url(database),
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            f"GRANT CONNECT ON DATABASE {database} TO {', '.join(names)}",
            f"GRANT USAGE, CREATE ON SCHEMA public TO {names[0]}",
        )
    yield {
        service: Roles(postgres.url(name), *(postgres.url(name, user=user) for user in names))
        for service, name in databases.items()
    }
    for database in databases.values():
        await admin.execute(f"DROP DATABASE {database} WITH (FORCE)")
    for name in names:
        await admin.execute(f"DROP ROLE {name}")
    await admin.close()


async def live(open_house: OpenHouse, urls: dict[str, str]) -> None:
    """Do a bit of everything."""
    house = await open_house(urls)
    user = await house.login("Ada")
    room = await house.make_room(user["token"])
    phoenix = await house.enter(user["token"], room["topic"])
    said = await phoenix.shout(f"room:{room['topic']}", "hello")
    stamp = {"word": "hello", "xPos": 1, "yPos": 2, "strength": 0.5, "messageId": said["id"]}
    await phoenix.push(f"room:{room['topic']}", "stamp", stamp)
    await phoenix.heard(f"room:{room['topic']}", "stamp")
    device = await house.call("POST", "notifications", "/register", {"token": "device"}, token=user["token"])
    assert device.status == 200
    left = await house.call("POST", "chat", "/channels/leave", {"channel_id": room["id"]}, token=user["token"])
    assert left.status == 200


async def test_a_role_that_may_connect_and_make_tables_is_enough(
    roles: dict[str, Roles], open_house: OpenHouse
) -> None:
    """It needs no extension, no schema of its own and owns not even the database."""
    for service, role in roles.items():
        assert await migrate(in_database(role.owner), SERVICES[service].migrations)

    await live(open_house, {service: role.owner for service, role in roles.items()})


async def test_the_run_time_needs_rows_alone(roles: dict[str, Roles], open_house: OpenHouse) -> None:
    """Another role migrates, and what it makes later too is the run time's to read and write, never to change."""
    for service, role in roles.items():
        owner, app = (url.split("@")[0].removeprefix("postgresql://") for url in (role.owner, role.app))
        await execute(role.admin, GRANTS.replace("stampchat_owner", owner).replace("stampchat_app", app))
        settings = in_database(role.app, migrate_url=Secret(role.owner))
        assert await migrate(settings, SERVICES[service].migrations)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await execute(role.app, "CREATE TABLE mine (id int)")
        # Nothing is missing, so a role that could not make it may ask.
        assert await migrate(in_database(role.app), SERVICES[service].migrations) == []

    await live(open_house, {service: role.app for service, role in roles.items()})


async def test_the_original_tables_of_another_owner_are_refused_by_name(roles: dict[str, Roles]) -> None:
    """Adopting alters tables, which only their owner may; nothing is left half done."""
    await execute(roles["chat"].admin, original.CHAT)

    with pytest.raises(MigrationError, match="must be owner of table users"):
        await migrate(in_database(roles["chat"].owner), SERVICES["chat"].migrations)


async def test_a_role_that_may_make_no_tables_is_refused_clearly(roles: dict[str, Roles], tmp_path: Path) -> None:
    """The first thing that it cannot make is the table of what was applied."""
    (tmp_path / "001_first.sql").write_text("SELECT 1")

    with pytest.raises(MigrationError, match="permission denied for schema public"):
        await migrate(in_database(roles["chat"].app), tmp_path)
