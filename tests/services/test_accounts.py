"""Test the three services together: an account's whole life, from the first login to its deletion and after it."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest

from services.auth.__main__ import SERVICE as AUTH
from services.auth.settings import AuthSettings
from services.chat.__main__ import SERVICE as CHAT
from services.chat.limits import Limits
from services.chat.settings import ChatSettings
from services.migrations import migrate
from services.notifications.__main__ import SERVICE as NOTIFICATIONS
from services.notifications.settings import NotificationsSettings
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer, encode_public_key
from tests.services.chat.phoenix import Phoenix
from tests.services.conftest import SERVER, MakeDatabase, Running, RunService
from tests.services.processes import SECONDS, Fleet

# Service, method, path, token, body: the status and the JSON.
Call = Callable[..., Coroutine[Any, Any, tuple[int, Any]]]


@dataclass(frozen=True)
class World:
    """Be the three services, each with a database of its own.

    Attributes:
        auth: where it listens.
        chat: the same.
        notifications: the same.
        databases: by service name.
        signer: auth's key, for tokens that auth would not mint.
        credential: what internal ports ask for.
        client: an HTTP client.
    """

    auth: Running
    chat: Running
    notifications: Running
    databases: dict[str, DatabaseSettings]
    signer: Signer
    credential: Secret
    client: aiohttp.ClientSession

    async def call(self, method: str, url: str, token: str = "", body: object = None) -> tuple[int, Any]:
        """Return the status and the JSON of a call."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.request(method, url, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def good(self, method: str, url: str, token: str = "", body: object = None) -> Any:
        """Return what a good call answers."""
        status, answer = await self.call(method, url, token, body)
        assert status == 200, answer
        return answer

    async def log_in(self, name: str) -> dict[str, Any]:
        """Log in by name."""
        body = {"authProvider": "dev", "token": name}
        answer: dict[str, Any] = await self.good("POST", f"{self.auth.public}/login", body=body)
        return answer

    def mint(self, user: dict[str, Any], *, minted: int = 0) -> str:
        """Mint a token as auth would have done some seconds ago."""
        now = int(time.time()) + minted
        fields = {name: user[name] for name in ("id", "name", "email", "picture", "identity")}
        return self.signer.mint(fields, auth_time=now, expires=now + 3600, now=now)

    async def rows(self, service: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask a service's database."""
        connection = await asyncpg.connect(self.databases[service].url.reveal())
        rows = await connection.fetch(sql, *values)
        await connection.close()
        return [tuple(row) for row in rows]


@pytest.fixture
async def world(
    make_database: MakeDatabase, run_service: RunService, credential: Secret, client: aiohttp.ClientSession
) -> World:
    """Run all three, pushes off."""
    private_key = Secret(secrets.token_hex(32))
    signer = Signer(private_key)
    keys = {signer.kid: signer.public_key}
    databases = {}
    for service in (AUTH, CHAT, NOTIFICATIONS):
        databases[service.name] = await make_database()
        await migrate(databases[service.name], service.migrations)
    notifications = await run_service(
        NOTIFICATIONS.open_apps(
            NotificationsSettings(
                server=SERVER,
                database=databases["notifications"],
                credential=credential,
                token_keys=keys,
                push="off",
            )
        )
    )
    chat = await run_service(
        CHAT.open_apps(
            ChatSettings(
                server=SERVER,
                database=databases["chat"],
                credential=credential,
                token_keys=keys,
                secret_key_base=Secret("x" * 64),
                notifications_url=notifications.internal,
                allowed_origins=frozenset(),
                limits=Limits(),
            )
        )
    )
    auth = await run_service(
        AUTH.open_apps(
            AuthSettings(
                server=SERVER,
                database=databases["auth"],
                credential=credential,
                private_key=private_key,
                token_keys=keys,
                chat_internal_url=chat.internal,
                chat_public_url=chat.public,
                notifications_internal_url=notifications.internal,
                logins=("dev",),
            )
        )
    )
    return World(auth, chat, notifications, databases, signer, credential, client)


async def enter(world: World, token: str, topic: str) -> Phoenix:
    """Open a websocket and join a room."""
    socket = await world.client.ws_connect(f"{world.chat.public}/socket/websocket?token={token}&vsn=2.0.0")
    phoenix = Phoenix(socket, vsn="2.0.0")
    await phoenix.join(f"room:{topic}")
    return phoenix


async def test_a_deleted_person_is_gone_everywhere_and_a_new_login_brings_nothing_back(world: World) -> None:
    """Sessions, rooms, words, stamps, devices and the name go; the others keep the room and see that one left."""
    ada, bob = await world.log_in("Ada Lovelace"), await world.log_in("Bob")
    chat, token = world.chat.public, ada["token"]
    room = (await world.good("POST", f"{chat}/channels", token, {"channel_name": "Road trip"}))["data"]
    await world.good("POST", f"{chat}/channels/join", bob["token"], {"topic": room["topic"]})
    await world.good("POST", f"{world.notifications.public}/register", token, {"token": "ada-phone"})
    hers, his = await enter(world, token, room["topic"]), await enter(world, bob["token"], room["topic"])
    topic = f"room:{room['topic']}"
    said = await hers.shout(topic, "hi")
    await his.heard(topic)
    stamp = {"word": "yes", "xPos": 1, "yPos": 2, "strength": 0.5, "messageId": said["id"]}
    await hers.push(topic, "stamp", stamp)
    await his.heard(topic, "stamp")
    await hers.heard(topic, "stamp")

    answer = await world.good("DELETE", f"{world.auth.public}/account", token)

    assert answer == {"deleted": True, "pending": False}
    assert "Ada" in (await his.heard(topic))["body"]
    assert (await hers.receive())[2:4] == [topic, "phx_close"]
    status, error = await world.call("POST", f"{world.auth.public}/refresh", token)
    assert (status, error["error"]["code"]) == (401, "user_gone")
    for method, path, body in (
        ("GET", "/channels", None),
        ("POST", "/channels", {"channel_name": "x"}),
        ("POST", "/channels/join", {"topic": room["topic"]}),
    ):
        status, error = await world.call(method, chat + path, token, body)
        assert (status, error["error"]["code"]) == (401, "unknown_user"), path
    older = world.mint(ada, minted=-10)
    status, error = await world.call("POST", f"{world.notifications.public}/register", older, {"token": "ada-phone"})
    assert (status, error["error"]["code"]) == (401, "unknown_user")

    for service, table in (("auth", "users"), ("notifications", "tokens"), ("chat", "messages"), ("chat", "users")):
        text = str(await world.rows(service, f"TABLE {table}"))
        assert "Ada" not in text, (service, table)
        assert ada["identity"] not in text, (service, table)
    assert await world.rows("auth", "SELECT * FROM deletions") == []
    assert await world.rows("chat", "SELECT * FROM stamps") == []
    page = (await world.good("GET", f"{chat}/channels/{room['id']}/events", bob["token"]))["data"]
    assert [message["body"] for message in page["messages"] if message["id"] == said["id"]] == [""]

    again = await world.log_in("Ada Lovelace")
    assert (again["identity"], again["id"] > ada["id"]) == (ada["identity"], True)
    assert await world.good("GET", f"{chat}/channels", again["token"]) == {"data": []}
    await world.good("POST", f"{world.notifications.public}/register", again["token"], {"token": "new-phone"})


class TestRepeatedRows:
    """The original could store a person twice, under two names, who then was two people elsewhere."""

    @pytest.fixture
    async def two(self, world: World) -> tuple[dict[str, Any], dict[str, Any]]:
        """Let a person have two rows, and be two people with a room and a device each."""
        world_rows = []
        for name in ("Ada", "Countess"):
            user = await world.log_in(name)
            await world.good("POST", f"{world.chat.public}/channels", user["token"], {"channel_name": f"Of {name}"})
            body = {"token": f"phone of {name}"}
            await world.good("POST", f"{world.notifications.public}/register", user["token"], body)
            world_rows.append(user)
        ada, countess = world_rows
        uid = "SELECT uid FROM users WHERE id = $1"
        await world.rows("auth", f"UPDATE users SET uid = ({uid}) WHERE id = $2", ada["id"], countess["id"])  # noqa: S608
        # As the other services know the younger row, whose uid is the same.
        former = countess["identity"]
        countess["identity"] = "countess_" + ada["identity"].removeprefix("ada_")
        for service, table in (("chat", "users"), ("notifications", "tokens")):
            rename = f"UPDATE {table} SET identity = $2 WHERE identity = $1"  # noqa: S608  # one of two constants
            await world.rows(service, rename, former, countess["identity"])
        return ada, countess

    async def test_what_points_at_the_younger_follows_the_oldest_at_the_next_login(
        self, world: World, two: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        """Rooms and devices; every row is kept, and the login after that has nothing to do."""
        ada, _ = two
        again = await world.log_in("Ada")

        assert (again["id"], again["identity"]) == (ada["id"], ada["identity"])
        names = [room["friendly_name"] for room in await self.rooms(world, again["token"])]
        assert sorted(names) == ["Of Ada", "Of Countess"]
        devices = await world.rows("notifications", "SELECT DISTINCT identity FROM tokens")
        assert devices == [(ada["identity"],)]
        assert await world.rows("auth", "SELECT id, merged_at IS NOT NULL FROM users ORDER BY id") == [
            (1, False),
            (2, True),
        ]
        merged = await world.rows("auth", "SELECT merged_at FROM users WHERE id = 2")
        await world.log_in("Ada")
        assert await world.rows("auth", "SELECT merged_at FROM users WHERE id = 2") == merged

    async def test_a_deletion_removes_both_also_when_they_were_never_merged(
        self, world: World, two: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        """Every identity of the uid is named to the others."""
        ada, countess = two
        await world.good("DELETE", f"{world.auth.public}/account", ada["token"])

        for service, table in (("auth", "users"), ("notifications", "tokens"), ("chat", "users"), ("chat", "messages")):
            text = str(await world.rows(service, f"TABLE {table}"))
            for word in ("Ada", "Countess", ada["identity"], countess["identity"]):
                assert word not in text, (service, table)

    @staticmethod
    async def rooms(world: World, token: str) -> list[dict[str, Any]]:
        """List somebody's rooms."""
        rooms: list[dict[str, Any]] = (await world.good("GET", f"{world.chat.public}/channels", token))["data"]
        return rooms


class TestBadTokens:
    """No door of any service opens to a token that breaks a rule."""

    DOORS = (
        ("auth", "POST", "/refresh", None),
        ("auth", "DELETE", "/account", None),
        ("chat", "GET", "/channels", None),
        ("chat", "POST", "/channels", {"channel_name": "x"}),
        ("chat", "POST", "/channels/join", {"topic": "x"}),
        ("chat", "POST", "/channels/leave", {"channel_id": 1}),
        ("chat", "GET", "/channels/1/events", None),
        ("notifications", "POST", "/register", {"token": "x"}),
        ("notifications", "POST", "/unregister", None),
    )

    async def test_each_is_a_401_everywhere_and_a_403_at_the_socket(self, world: World) -> None:
        """Expired, of another key, issuer, audience or algorithm, without a kid, not good yet, or damaged."""
        ada = await world.log_in("Ada")
        for reason, token in bad_tokens(world.signer, ada).items():
            for service, method, path, body in self.DOORS:
                status, answer = await world.call(method, getattr(world, service).public + path, token, body)
                assert (status, set(answer["error"])) == (401, {"code", "message"}), (reason, service, path)
            url = f"{world.chat.public}/socket/websocket?vsn=2.0.0&token={quote(token)}"
            with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
                await world.client.ws_connect(url)
            assert raised.value.status == 403, reason
        # The token that they were made from is good.
        await world.good("POST", f"{world.auth.public}/refresh", ada["token"])

    async def test_a_user_who_is_gone_is_refused_at_every_door(self, world: World) -> None:
        """Their token verifies until it expires, and opens nothing."""
        ada = await world.log_in("Ada")
        await world.good("DELETE", f"{world.auth.public}/account", ada["token"])
        token = world.mint(ada, minted=-5)
        for service, method, path, body in self.DOORS:
            if path == "/unregister":
                # It forgets devices, of which there are none.
                continue
            status, answer = await world.call(method, getattr(world, service).public + path, token, body)
            assert (status, answer["error"]["code"]) in {(401, "unknown_user"), (401, "user_gone")}, (service, path)
        phoenix = Phoenix(
            await world.client.ws_connect(f"{world.chat.public}/socket/websocket?token={token}&vsn=2.0.0")
        )
        await phoenix.start_join("room:x")
        assert (await phoenix.receive())[4] == {"status": "error", "response": {"reason": "unauthorized"}}


def bad_tokens(signer: Signer, user: dict[str, Any]) -> dict[str, str]:
    """Break each rule once."""
    now = int(time.time())
    claims: dict[str, Any] = {
        **{name: user[name] for name in ("id", "name", "email", "picture", "identity")},
        "sub": str(user["id"]),
        "iss": "stampchat-auth",
        "aud": "stampchat",
        "iat": now,
        "exp": now + 3600,
        "auth_time": now,
    }
    head = {"alg": "EdDSA", "typ": "JWT", "kid": signer.kid}
    stranger = Signer(Secret(secrets.token_hex(32)))
    raw = signer.public_key.public_bytes_raw()
    pem = encode_public_key(signer.public_key).encode()
    good = signed(signer._key.sign, head, claims)
    changed = {name: signed(signer._key.sign, head, claims | change) for name, change in CHANGES.items()}
    return {
        **changed,
        "expired": signed(signer._key.sign, head, claims | {"iat": now - 3700, "exp": now - 31}),
        "not yet": signed(signer._key.sign, head, claims | {"nbf": now + 600}),
        "another key": signed(stranger._key.sign, head, claims),
        "another key and its kid": signed(stranger._key.sign, head | {"kid": stranger.kid}, claims),
        "no kid": signed(signer._key.sign, {"alg": "EdDSA"}, claims),
        "a kid that is none": signed(signer._key.sign, head | {"kid": ["../../etc/passwd"]}, claims),
        "none": signed(lambda _: b"", head | {"alg": "none"}, claims),
        "NONE": signed(lambda _: b"", head | {"alg": "nOnE"}, claims),
        "HS256 with the public PEM": signed(
            lambda text: hmac.digest(pem, text, "sha256"), head | {"alg": "HS256"}, claims
        ),
        "HS256 with the public key": signed(
            lambda text: hmac.digest(raw, text, "sha256"), head | {"alg": "HS256"}, claims
        ),
        "a key of its own": signed(
            stranger._key.sign, head | {"jwk": {"kty": "OKP", "x": "AA"}, "jku": "http://x"}, claims
        ),
        "another header": signed(signer._key.sign, head | {"alg": "ES256"}, claims),
        "critical": signed(signer._key.sign, head | {"crit": ["exp"]}, claims),
        "no signature": good.rpartition(".")[0] + ".",
        "cut": good[:-4],
        "claims of another": good.split(".")[0] + "." + changed["id"].split(".")[1] + "." + good.split(".")[2],
        "no object": signed(signer._key.sign, head, [claims]),
    }


CHANGES: dict[str, dict[str, Any]] = {
    "issuer": {"iss": "somebody"},
    "audience": {"aud": "other"},
    "id": {"id": "7"},
    "huge id": {"id": 1 << 80},
    "identity": {"identity": None},
    "nul": {"identity": "ada\0_1"},
    "endless": {"exp": "never"},
    "no end": {"exp": None},
    "far end": {"exp": 1 << 80, "iat": 1 << 80},
}


def signed(sign: Callable[[bytes], bytes], head: object, claims: object) -> str:
    """Put a token together by hand, since a good library refuses most of these."""

    def encoded(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    text = encoded(json.dumps(head).encode()) + b"." + encoded(json.dumps(claims).encode())
    return (text + b"." + encoded(sign(text))).decode()


class TestProcesses:
    """The three services as they are deployed, each a process."""

    @pytest.fixture
    async def fleet(self, make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Fleet]:
        """Start them."""
        fleet = Fleet(tmp_path, {name: await make_database() for name in ("auth", "chat", "notifications")})
        try:
            await fleet.start_all()
            yield fleet
        finally:
            await fleet.kill()

    @pytest.fixture
    def call(self, fleet: Fleet, client: aiohttp.ClientSession) -> Call:
        """Call a service's public port."""

        async def call(service: str, method: str, path: str, token: str = "", body: object = None) -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            url = fleet.started[service].public + path
            async with client.request(method, url, json=body, headers=headers) as response:
                return response.status, await response.json()

        return call

    async def test_a_deletion_survives_the_death_of_chat_and_of_auth_in_the_middle(
        self, fleet: Fleet, call: Call
    ) -> None:
        """Half of the words are gone when chat is killed, then auth; both start again and nothing is left."""
        ada = (await call("auth", "POST", "/login", body={"authProvider": "dev", "token": "Ada"}))[1]
        room = (await call("chat", "POST", "/channels", ada["token"], {"channel_name": "Road trip"}))[1]["data"]
        assert (await call("notifications", "POST", "/register", ada["token"], {"token": "ada-phone"}))[0] == 200
        connection = await asyncpg.connect(fleet.databases["chat"].url.reveal())
        await connection.execute(
            """
            INSERT INTO messages (body, member_id, channel_id, type, inserted_at, updated_at)
            SELECT 'said', m.id, $1, 'chat', now(), now() FROM generate_series(1, 60000), members m
            """,
            room["id"],
        )
        asked = asyncio.create_task(call("auth", "DELETE", "/account", ada["token"]))
        left = "SELECT count(*) FROM messages WHERE body = 'said'"
        async with asyncio.timeout(SECONDS):
            while await connection.fetchval(left) == 60_000:  # noqa: ASYNC110  # a database has no event
                await asyncio.sleep(0.001)
        await fleet.started["chat"].stop(signal.SIGKILL)
        await fleet.started["auth"].stop(signal.SIGKILL)
        with suppress(aiohttp.ClientError):
            await asked
        assert 0 < await connection.fetchval(left) < 60_000

        await fleet.start("chat")
        await fleet.start("auth")
        auth = await asyncpg.connect(fleet.databases["auth"].url.reveal())
        async with asyncio.timeout(SECONDS):
            while await auth.fetchval("SELECT count(*) FROM deletions"):  # noqa: ASYNC110  # the same
                await asyncio.sleep(0.02)

        assert await auth.fetchval("SELECT count(*) FROM users") == 0
        assert await connection.fetchval(left) == 0
        assert await connection.fetchval("SELECT count(*) FROM users WHERE friendly_name IS NOT NULL") == 0
        await auth.close()
        await connection.close()
        assert (await call("chat", "GET", "/channels", ada["token"]))[1]["error"]["code"] == "unknown_user"
        again = (await call("auth", "POST", "/login", body={"authProvider": "dev", "token": "Ada"}))[1]
        assert (again["identity"], again["id"]) == (ada["identity"], ada["id"] + 1)
        assert (await call("chat", "GET", "/channels", again["token"]))[1] == {"data": []}

    async def test_a_key_is_rotated_under_running_services(self, fleet: Fleet, call: Call) -> None:
        """Chat and notifications go on running; old tokens are good until their key is taken away."""
        old = (await call("auth", "POST", "/login", body={"authProvider": "dev", "token": "Ada"}))[1]["token"]
        old_file = fleet.folder / "keys" / f"{fleet.signer.kid}.pem"
        started = {name: fleet.started[name].running.pid for name in ("chat", "notifications")}

        # The new public key first, then the signer that uses it.
        fleet.private_key = secrets.token_urlsafe(48)
        assert await fleet.started["auth"].stop() == 0
        await fleet.start("auth")
        status, answer = await call("auth", "POST", "/refresh", old)
        assert status == 200
        new = answer["token"]

        doors = (("chat", "GET", "/channels", None), ("notifications", "POST", "/register", {"token": "x"}))
        for door in doors:
            assert await eventually(call, door, new) == 200
            assert (await call(*door[:3], old, door[3]))[0] == 200
        old_file.unlink()
        for door in (*doors, ("auth", "POST", "/refresh", None)):
            assert await eventually(call, door, old, status=401) == 401
            assert (await call(*door[:3], new, door[3]))[0] == 200
        assert {name: fleet.started[name].running.pid for name in started} == started


async def eventually(call: Call, door: tuple[str, str, str, object], token: str, *, status: int = 200) -> int:
    """Ask until the answer has a status; return the last one."""
    service, method, path, body = door
    async with asyncio.timeout(SECONDS):
        while (answer := await call(service, method, path, token, body))[0] != status:  # noqa: ASYNC110  # the same
            await asyncio.sleep(0.1)
    return int(answer[0])
