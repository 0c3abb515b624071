"""Kill the service at every step of a deletion; chat and notifications are stand-ins that hang or fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.auth.accounts import MOST_AT_ONCE
from services.auth.app import open_apps
from services.auth.deletions import Deletions
from services.auth.providers import Profile
from services.auth.settings import AuthSettings
from services.auth.store import Store
from services.database import open_database
from services.settings import DatabaseSettings
from tests.services.auth.conftest import DeletionDouble
from tests.services.auth.processes import SECONDS, auth_process
from tests.services.conftest import Running, RunService

ADA = {"authProvider": "dev", "token": "Ada"}
LOCK = "SELECT pg_advisory_lock(1001, hashtext((SELECT uid FROM users LIMIT 1)))"


@pytest.fixture
async def auth(
    settings: AuthSettings, deletion: DeletionDouble, run_service: RunService, monkeypatch: pytest.MonkeyPatch
) -> Running:
    """Run the service in this process, beside the stand-ins; it looks often for what is still to be deleted."""
    monkeypatch.setattr("services.auth.accounts.POLL_SECONDS", 0.1)
    stood_in = replace(
        settings,
        chat_internal_url=f"{deletion.url}/chat",
        notifications_internal_url=f"{deletion.url}/notifications",
    )
    return await run_service(open_apps(stood_in))


async def eventually(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SECONDS):
        while not await condition():  # noqa: ASYNC110  # a database has no event
            await asyncio.sleep(0.02)


async def log_in(client: aiohttp.ClientSession, public: str, name: str = "Ada") -> tuple[int, Any, str]:
    """Log in and return the status, the answer and Retry-After."""
    body = {"authProvider": "dev", "token": name}
    async with client.post(f"{public}/login", json=body) as response:
        return response.status, await response.json(), response.headers.get("Retry-After", "")


async def delete(client: aiohttp.ClientSession, public: str, token: str) -> tuple[int, Any]:
    """Delete the bearer's account."""
    async with client.delete(f"{public}/account", headers={"Authorization": f"Bearer {token}"}) as response:
        return response.status, await response.json()


class TestKilled:
    """Each test ends with nothing left of Ada, whatever was killed when."""

    @pytest.fixture
    async def ask(self, database: DatabaseSettings) -> Any:
        """Ask the database."""
        connection = await asyncpg.connect(database.url.reveal())
        yield connection.fetchval
        await connection.close()

    async def test_before_the_promise_is_stored_nothing_has_happened(
        self,
        environ: dict[str, str],
        deletion: DeletionDouble,
        database: DatabaseSettings,
        client: aiohttp.ClientSession,
        ask: Any,
    ) -> None:
        """The client got no answer, the account is as it was, and asking again deletes it."""
        async with auth_process(environ) as first:
            _, user, _ = await log_in(client, first.public)
            holder = await asyncpg.connect(database.url.reveal())
            await holder.execute(LOCK)
            asked = asyncio.create_task(delete(client, first.public, user["token"]))
            await eventually(lambda: ask("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            await first.kill()
            with suppress(aiohttp.ClientError):
                await asked
            await holder.close()
        assert deletion.calls == []
        async with auth_process(environ) as second:
            assert (await log_in(client, second.public))[1]["id"] == user["id"]
            assert await delete(client, second.public, user["token"]) == (200, {"deleted": True, "pending": False})
        assert await ask("SELECT count(*) FROM users") == 0

    @pytest.mark.parametrize("service", ["chat", "notifications"])
    async def test_while_another_service_forgets(
        self,
        environ: dict[str, str],
        deletion: DeletionDouble,
        client: aiohttp.ClientSession,
        ask: Any,
        service: str,
    ) -> None:
        """The next process finishes without being asked; until then nobody logs in, and the session is over."""
        async with auth_process(environ) as first:
            _, user, _ = await log_in(client, first.public)
            deletion.hang_at = service
            asked = asyncio.create_task(delete(client, first.public, user["token"]))
            await deletion.hanging.wait()
            status, answer, retry_after = await log_in(client, first.public)
            assert (status, answer["error"]["code"], int(retry_after) > 0) == (503, "account_being_deleted", True)
            headers = {"Authorization": f"Bearer {user['token']}"}
            async with client.post(f"{first.public}/refresh", headers=headers) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (401, "user_gone")
            await first.kill()
            with suppress(aiohttp.ClientError):
                await asked
        assert await ask("SELECT count(*) FROM deletions") == 1
        deletion.hang_at = ""
        async with auth_process(environ) as second:
            await eventually(lambda: ask("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM deletions) = 0"))
            status, again, _ = await log_in(client, second.public)
        assert (status, again["identity"], again["id"] > user["id"]) == (200, user["identity"], True)
        assert [call for call in deletion.calls if call[0] == "notifications"][-1][1] == user["identity"]

    async def test_before_its_own_rows_are_gone(
        self,
        environ: dict[str, str],
        deletion: DeletionDouble,
        database: DatabaseSettings,
        client: aiohttp.ClientSession,
        ask: Any,
    ) -> None:
        """The others are asked once more, which changes nothing for them."""
        async with auth_process(environ) as first:
            _, user, _ = await log_in(client, first.public)
            deletion.hang_at = "notifications"
            asked = asyncio.create_task(delete(client, first.public, user["token"]))
            await deletion.hanging.wait()
            holder = await asyncpg.connect(database.url.reveal())
            await holder.execute(LOCK)
            deletion.hang_at = ""
            deletion.gate.set()
            await eventually(lambda: ask("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            await first.kill()
            with suppress(aiohttp.ClientError):
                await asked
            await holder.close()
        assert await ask("SELECT count(*) FROM users") == 1
        async with auth_process(environ):
            await eventually(lambda: ask("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM deletions) = 0"))
        assert [call[0] for call in deletion.calls] == ["chat", "notifications"] * 2

    async def test_two_processes_share_the_work(
        self, environ: dict[str, str], deletion: DeletionDouble, database: DatabaseSettings, ask: Any
    ) -> None:
        """What one is at, the other skips: everybody is deleted once."""
        connection = await asyncpg.connect(database.url.reveal())
        await connection.execute("""
            INSERT INTO users (uid, name) SELECT 'u' || n, 'Ada' FROM generate_series(1, 40) AS n;
            INSERT INTO deletions (uid, user_id, identities) SELECT uid, id, ARRAY['ada_' || uid] FROM users
        """)
        await connection.close()
        async with auth_process(environ), auth_process(environ):
            await eventually(lambda: ask("SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM deletions) = 0"))
        assert len(deletion.calls) == 80
        assert {call[1] for call in deletion.calls} == {f"ada_u{n}" for n in range(1, 41)}


class TestFailing:
    async def test_a_service_that_is_away_leaves_it_pending_and_is_asked_again(
        self, auth: Running, settings: AuthSettings, deletion: DeletionDouble, client: aiohttp.ClientSession
    ) -> None:
        """The answer says so; asking again meanwhile says the same; later it is done without being asked."""
        _, user, _ = await log_in(client, auth.public)
        deletion.answers = [(500, {})]
        assert await delete(client, auth.public, user["token"]) == (200, {"deleted": True, "pending": True})
        assert await delete(client, auth.public, user["token"]) == (200, {"deleted": True, "pending": True})

        connection = await asyncpg.connect(settings.database.url.reveal())
        await eventually(lambda: connection.fetchval("SELECT count(*) = 0 FROM deletions"))
        await connection.close()
        status, answer = await delete(client, auth.public, user["token"])
        assert (status, answer["error"]["code"]) == (401, "user_gone")

    @pytest.mark.parametrize("answer", [{}, [], {"deleted": "yes"}, {"deleted": None}, None], ids=str)
    async def test_an_answer_that_does_not_say_it_is_not_believed(
        self, auth: Running, deletion: DeletionDouble, client: aiohttp.ClientSession, answer: object
    ) -> None:
        """A proxy's friendly page has deleted nobody."""
        _, user, _ = await log_in(client, auth.public)
        deletion.answers = [(200, answer)]

        assert await delete(client, auth.public, user["token"]) == (200, {"deleted": True, "pending": True})

    async def test_a_service_that_needs_several_calls_gets_them(
        self, auth: Running, deletion: DeletionDouble, client: aiohttp.ClientSession
    ) -> None:
        """A person may have said very much."""
        _, user, _ = await log_in(client, auth.public)
        deletion.answers = [(200, {"deleted": False})] * 3

        assert await delete(client, auth.public, user["token"]) == (200, {"deleted": True, "pending": False})
        assert [call[0] for call in deletion.calls] == ["chat"] * 4 + ["notifications"]

    async def test_many_at_once_leave_logins_their_connections(
        self, auth: Running, deletion: DeletionDouble, client: aiohttp.ClientSession
    ) -> None:
        """A chat that hangs would else take the whole pool; whoever comes later is told that it is pending."""
        users = [(await log_in(client, auth.public, f"Ada {n}"))[1] for n in range(MOST_AT_ONCE + 2)]
        deletion.hang_at = "chat"
        asked = [asyncio.create_task(delete(client, auth.public, user["token"])) for user in users]

        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert next(task.result() for task in done) == (200, {"deleted": True, "pending": True})
        assert (await log_in(client, auth.public, "Bob"))[0] == 200
        deletion.gate.set()
        await asyncio.gather(*waiting)

    async def test_without_a_bearer_nobody_is_deleted(
        self, auth: Running, deletion: DeletionDouble, client: aiohttp.ClientSession
    ) -> None:
        """As everywhere."""
        async with client.delete(f"{auth.public}/account") as response:
            assert response.status == 401
        assert deletion.calls == []


async def test_every_row_and_every_identity_of_a_uid_goes_and_nobody_elses(
    settings: AuthSettings, auth: Running, deletion: DeletionDouble, client: aiohttp.ClientSession
) -> None:
    """The original left rows that repeat a uid, under other names; an identity may hold any character."""
    connection = await asyncpg.connect(settings.database.url.reveal())
    _, user, _ = await log_in(client, auth.public)
    uid = await connection.fetchval("SELECT uid FROM users")
    await connection.execute(
        "INSERT INTO users (uid, name) VALUES ($1, 'Countess'), ($1, 'Ada'), ('u/ö% {}', 'X')", uid
    )

    assert (await delete(client, auth.public, user["token"]))[1]["pending"] is False

    assert await connection.fetchval("SELECT array_agg(uid) FROM users") == ["u/ö% {}"]
    names = [f"ada_{uid}", f"countess_{uid}"]
    assert deletion.calls == [(service, name) for service in ("chat", "notifications") for name in names]
    assert all(int(query["minted_before"]) > 1_700_000_000 for query in deletion.queries)

    insert = "INSERT INTO deletions (uid, user_id, identities) VALUES ($1::text, 99, ARRAY['x_' || $1::text])"
    await connection.execute(insert, "u/ö% {}")
    await eventually(lambda: connection.fetchval("SELECT count(*) = 0 FROM deletions"))
    await connection.close()
    assert deletion.calls[-1] == ("notifications", "x_u/ö% {}")


class TestConfirm:
    """A login that was under way while its account was deleted."""

    async def test_it_is_refused_and_what_it_made_elsewhere_is_deleted_again(self, database: DatabaseSettings) -> None:
        """It may have told the chat of the person after the deletion did the opposite."""
        async with open_database(database) as opened:
            store, deletions = Store(opened), Deletions(opened)
            user = await store.find_or_create(Profile("u1", "Ada"))
            await deletions.request(user.id, user.identity)
            async with deletions.claim() as (connection, claimed):
                assert claimed is not None
                await deletions.finish(connection, claimed)
            assert await deletions.count() == 0

            with pytest.raises(Exception, match="being deleted"):
                await store.confirm(user)

            async with deletions.claim("u1") as (_, again):
                assert again is not None
                assert (again.user_id, again.identities) == (user.id, ("ada_u1",))

    async def test_a_new_account_of_the_same_person_is_left_alone(self, database: DatabaseSettings) -> None:
        """Which is what the identity stands for by then."""
        async with open_database(database) as opened:
            store, deletions = Store(opened), Deletions(opened)
            former = await store.find_or_create(Profile("u1", "Ada"))
            await deletions.request(former.id, former.identity)
            async with deletions.claim() as (connection, claimed):
                assert claimed is not None
                await deletions.finish(connection, claimed)
            new = await store.find_or_create(Profile("u1", "Ada"))

            with pytest.raises(Exception, match="being deleted"):
                await store.confirm(former)

            assert await deletions.count() == 0
            await store.confirm(new)
