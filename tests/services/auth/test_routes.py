from __future__ import annotations

import asyncio
import hashlib
import time

import aiohttp
import asyncpg
import pytest

from services.auth.settings import AuthSettings
from services.settings import Secret
from services.tokens import Signer, Verifier
from tests.services.auth.conftest import ChatDouble
from tests.services.conftest import Running

ADA = {"authProvider": "dev", "token": "Ada Lovelace"}
JSON = {"Content-Type": "application/json"}
ADA_UID = "dev-" + hashlib.sha256(b"Ada Lovelace").hexdigest()[:12]


async def count_users(settings: AuthSettings) -> int:
    """Count the rows."""
    connection = await asyncpg.connect(settings.database.url.reveal())
    count = await connection.fetchval("SELECT count(*) FROM users")
    await connection.close()
    return int(count)


async def log_in(client: aiohttp.ClientSession, auth: Running, name: str = "Ada Lovelace") -> dict[str, object]:
    """Log in by name and return the answer."""
    async with client.post(f"{auth.public}/login", json={"authProvider": "dev", "token": name}) as response:
        assert response.status == 200
        return dict(await response.json())


class TestTest:
    async def test_the_service_answers(self, auth: Running, client: aiohttp.ClientSession) -> None:
        """GET /test is for people with a browser."""
        async with client.get(f"{auth.public}/test") as response:
            assert (response.status, await response.json()) == (200, {"status": "auth ok"})

    async def test_chats_answer_is_handed_on(self, auth: Running, client: aiohttp.ClientSession) -> None:
        """GET /test-chat shows that auth reaches chat."""
        async with client.get(f"{auth.public}/test-chat") as response:
            assert (response.status, await response.json()) == (200, {"test": "success"})


class TestLogin:
    async def test_a_first_login_makes_the_user_here_and_in_chat(
        self,
        auth: Running,
        settings: AuthSettings,
        chat: ChatDouble,
        credential: Secret,
        client: aiohttp.ClientSession,
    ) -> None:
        """The answer has the user's fields and a token, and no uid."""
        answer = await log_in(client, auth)
        token = answer.pop("token")

        assert answer == {
            "id": 1,
            "name": "Ada Lovelace",
            "email": None,
            "picture": None,
            "identity": f"adalovelace_{ADA_UID}",
        }
        assert chat.users == [{"name": "Ada Lovelace", "identity": f"adalovelace_{ADA_UID}"}]
        assert chat.headers[0]["Authorization"] == f"Bearer {credential.reveal()}"
        claims = Verifier(settings.token_keys).verify(str(token))
        assert (claims.id, claims.identity, claims.exp - claims.iat) == (1, answer["identity"], 3600)

    async def test_the_request_id_crosses_to_chat(
        self, auth: Running, chat: ChatDouble, client: aiohttp.ClientSession
    ) -> None:
        """One id names a request in every service's log."""
        headers = {"X-Request-ID": "abcdef-123456"}
        async with client.post(f"{auth.public}/login", json=ADA, headers=headers) as response:
            assert response.headers["X-Request-ID"] == "abcdef-123456"

        assert chat.headers[0]["X-Request-ID"] == "abcdef-123456"

    async def test_the_same_name_is_the_same_user(
        self, auth: Running, settings: AuthSettings, client: aiohttp.ClientSession
    ) -> None:
        """Both forms of Unicode are one name."""
        first = await log_in(client, auth, "Jose\u0301")
        second = await log_in(client, auth, "José")

        assert first["identity"] == second["identity"]
        assert await count_users(settings) == 1

    async def test_racing_first_logins_make_one_user(
        self, auth: Running, settings: AuthSettings, client: aiohttp.ClientSession
    ) -> None:
        """All of them get the same one."""
        answers = await asyncio.gather(*(log_in(client, auth) for _ in range(20)))

        assert {answer["id"] for answer in answers} == {1}
        assert await count_users(settings) == 1

    async def test_a_chat_service_that_is_briefly_away_delays_the_login(
        self, auth: Running, chat: ChatDouble, client: aiohttp.ClientSession
    ) -> None:
        """Two failures are waited through."""
        chat.failures = 2

        assert (await log_in(client, auth))["id"] == 1
        assert len(chat.users) == 1

    async def test_a_login_without_chat_fails_cleanly_and_the_next_one_heals_it(
        self, auth: Running, settings: AuthSettings, chat: ChatDouble, client: aiohttp.ClientSession
    ) -> None:
        """The row may exist already; the user is whole only when chat knows them."""
        chat.failures = 3
        async with client.post(f"{auth.public}/login", json=ADA) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) > 0
            assert (await response.json())["error"]["code"] == "peer_unavailable"

        assert chat.users == []
        await log_in(client, auth)
        assert len(chat.users) == 1
        assert await count_users(settings) == 1

    async def test_the_oldest_of_repeated_rows_is_the_user(
        self, auth: Running, settings: AuthSettings, chat: ChatDouble, client: aiohttp.ClientSession
    ) -> None:
        """The original could store a uid twice; its first name stays the identity's."""
        connection = await asyncpg.connect(settings.database.url.reveal())
        insert = "INSERT INTO users (uid, name) VALUES ($1, $2)"
        await connection.executemany(insert, [(ADA_UID, "Countess"), (ADA_UID, "Ada Lovelace")])
        await connection.close()

        assert (await log_in(client, auth))["identity"] == f"countess_{ADA_UID}"
        assert chat.merges == [{"into": f"countess_{ADA_UID}", "from": f"adalovelace_{ADA_UID}"}]
        assert await count_users(settings) == 2

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"", 400, "malformed"),
            (b"{", 400, "malformed"),
            (b"\xff", 400, "malformed"),
            (b'{"authProvider":"dev","token":"\xff"}', 400, "malformed"),
            (b'{"authProvider":"dev","token":"\\ud800"}', 400, "malformed"),
            (b'{"a":' * 2000, 400, "malformed"),
            (b"[]", 422, "invalid"),
            (b"{}", 422, "invalid"),
            (b'{"authProvider":"dev"}', 422, "invalid"),
            (b'{"authProvider":"dev","token":7}', 422, "invalid"),
            (b'{"authProvider":"dev","token":""}', 422, "invalid"),
            (b'{"authProvider":"dev","token":"a\\u0000b"}', 422, "invalid"),
            (b'{"authProvider":"dev","token":"  "}', 422, "bad_name"),
            (b'{"authProvider":"dev","token":"%s"}' % (b"n" * 256), 422, "bad_name"),
            (b'{"authProvider":"dev","token":"%s"}' % (b"n" * 9000), 422, "invalid"),
            (b'{"authProvider":"google","token":"x"}', 400, "unknown_provider"),
            (b'{"authProvider":"","token":"x"}', 422, "invalid"),
            (b'"%s"' % (b"n" * 70_000), 413, "too_large"),
        ],
        ids=lambda value: repr(value[:50]) if isinstance(value, bytes) else None,
    )
    async def test_bad_bodies_are_refused(
        self, auth: Running, client: aiohttp.ClientSession, body: bytes, status: int, code: str
    ) -> None:
        """Each gets a 4xx that says what is wrong, in the one shape."""
        async with client.post(f"{auth.public}/login", data=body, headers=JSON) as response:
            answer = await response.json()

        assert (response.status, answer["error"]["code"]) == (status, code)
        assert set(answer["error"]) == {"code", "message"}


class TestRefresh:
    async def test_a_bearer_gets_a_new_token_of_the_same_session(
        self, auth: Running, settings: AuthSettings, client: aiohttp.ClientSession
    ) -> None:
        """The body may say anything, or not be JSON at all."""
        token = str((await log_in(client, auth))["token"])
        async with client.post(
            f"{auth.public}/refresh", data=b"whatever", headers={"Authorization": f"Bearer {token}"}
        ) as response:
            assert response.status == 200
            renewed = (await response.json())["token"]

        verifier = Verifier(settings.token_keys)
        assert verifier.verify(renewed).auth_time == verifier.verify(token).auth_time

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer a.b.c", "Basic YTpi", "Bearer \xff"])
    async def test_without_a_good_bearer_it_is_a_401(
        self, auth: Running, client: aiohttp.ClientSession, header: str
    ) -> None:
        """The answer asks for a bearer."""
        headers = {"Authorization": header} if header else {}
        async with client.post(f"{auth.public}/refresh", headers=headers) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"] == "Bearer"

    async def test_a_session_ends_with_its_age(
        self, auth: Running, settings: AuthSettings, client: aiohttp.ClientSession
    ) -> None:
        """Thirty days after the login only a new login helps, and no token lives past that day."""
        user = {key: value for key, value in (await log_in(client, auth)).items() if key != "token"}
        signer, now = Signer(settings.private_key), int(time.time())

        async def refresh(age: int) -> tuple[int, dict[str, object]]:
            token = signer.mint(user, auth_time=now - age, expires=now + 60)
            headers = {"Authorization": f"Bearer {token}"}
            async with client.post(f"{auth.public}/refresh", headers=headers) as response:
                return response.status, dict(await response.json())

        status, answer = await refresh(settings.session_seconds - 100)
        assert status == 200
        claims = Verifier(settings.token_keys).verify(str(answer["token"]))
        assert claims.exp == claims.auth_time + settings.session_seconds
        status, answer = await refresh(settings.session_seconds)
        assert (status, answer["error"]) == (
            401,
            {"code": "session_over", "message": "The session has reached its age; log in again."},
        )

    @pytest.mark.parametrize(
        "change", ["DELETE FROM users", "UPDATE users SET name = 'Somebody Else', uid = 'dev-other'"]
    )
    async def test_a_session_ends_with_its_user(
        self, auth: Running, settings: AuthSettings, client: aiohttp.ClientSession, change: str
    ) -> None:
        """A user who is gone, or whose id a restored database gave to somebody else, is not renewed."""
        token = (await log_in(client, auth))["token"]
        connection = await asyncpg.connect(settings.database.url.reveal())
        await connection.execute(change)
        await connection.close()

        async with client.post(f"{auth.public}/refresh", headers={"Authorization": f"Bearer {token}"}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (401, "user_gone")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/internal/users", 404),
        ("GET", "/livez", 404),
        ("GET", "/readyz", 404),
        ("GET", "/metrics", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/test/", 404),
        ("GET", "//test", 404),
        ("GET", "/login", 405),
        ("DELETE", "/refresh", 405),
    ],
)
async def test_the_public_port_serves_nothing_else(
    auth: Running, client: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    """What is not the app's is a JSON 404, and a wrong method a JSON 405."""
    async with client.request(method, auth.public + path) as response:
        assert response.status == status
        assert set((await response.json())["error"]) == {"code", "message"}


async def test_chat_down_is_a_502_that_says_so(auth: Running, chat: ChatDouble, client: aiohttp.ClientSession) -> None:
    """GET /test-chat is asked by people who look for the broken part."""
    chat.test_fails = True
    async with client.get(f"{auth.public}/test-chat") as response:
        answer = await response.json()

    assert (response.status, answer["error"]["code"]) == (502, "chat_unavailable")
