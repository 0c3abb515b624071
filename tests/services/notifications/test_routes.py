from __future__ import annotations

import asyncio
import re
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.notifications.app import open_apps
from services.notifications.settings import NotificationsSettings
from services.settings import Secret
from services.tokens import Signer
from tests.services.conftest import Running, RunService
from tests.services.notifications.conftest import Rows, bearer, until
from tests.services.notifications.fcm_stand_in import UNREGISTERED, FcmStandIn

NOTE = {"title": "Road trip", "body": "Ada: hi"}
DATA = {"click_action": "FLUTTER_NOTIFICATION_CLICK"}


class Caller:
    """Call a running service as its people and as the chat service do."""

    def __init__(self, running: Running, client: aiohttp.ClientSession, signer: Signer, credential: Secret) -> None:
        self.running = running
        self._client = client
        self._signer = signer
        self._credential = credential

    async def post(self, identity: str, path: str, body: bytes | dict[str, Any] | None = None) -> tuple[int, Any]:
        """Call the public port as somebody."""
        sent: dict[str, Any] = {"json": body} if body is not None else {}
        if isinstance(body, bytes):
            sent = {"data": body, "headers": {"Content-Type": "application/json"}}
        url = self.running.public + path
        headers = {**sent.get("headers", {}), **bearer(self._signer, identity)}
        async with self._client.post(url, **{**sent, "headers": headers}) as response:
            return response.status, await response.json()

    async def notify(self, *identities: str, **changes: Any) -> tuple[int, Any]:
        """Call the internal port as chat."""
        body = {"identities": identities, "notification": NOTE, "data": DATA, **changes}
        return await self.internal("/internal/notify", body)

    async def batch(self, *notifications: dict[str, Any]) -> tuple[int, Any]:
        """Hand over many at once."""
        return await self.internal("/internal/notify/batch", {"notifications": notifications})

    async def internal(self, path: str, body: object) -> tuple[int, Any]:
        """Post to the internal port."""
        headers = {"Authorization": f"Bearer {self._credential.reveal()}"}
        async with self._client.post(self.running.internal + path, json=body, headers=headers) as response:
            return response.status, await response.json()


@pytest.fixture
def caller(notifications: Running, client: aiohttp.ClientSession, signer: Signer, credential: Secret) -> Caller:
    """Call a service with pushes off."""
    return Caller(notifications, client, signer, credential)


async def stored(settings: NotificationsSettings) -> list[tuple[str, str]]:
    """Return who has which device."""
    connection = await asyncpg.connect(settings.database.url.reveal())
    rows = await connection.fetch("SELECT identity, fcm_token FROM tokens ORDER BY id")
    await connection.close()
    return [(row["identity"], row["fcm_token"]) for row in rows]


async def test_the_service_answers(notifications: Running, client: aiohttp.ClientSession) -> None:
    """GET /test is for people with a browser."""
    async with client.get(f"{notifications.public}/test") as response:
        assert await response.json() == {"status": "notifications ok"}


class TestRegister:
    async def test_a_device_is_registered_once(self, caller: Caller, settings: NotificationsSettings) -> None:
        """The answer is the row, with a moment as the wire has it; twenty at once are one row."""
        # With every connection open already, the twenty meet in the database and not on their way to it.
        await asyncio.gather(*(caller.notify("ada_1") for _ in range(20)))
        answers = await asyncio.gather(*(caller.post("ada_1", "/register", {"token": "phone"}) for _ in range(20)))

        assert {status for status, _ in answers} == {200}
        assert {answer["id"] for _, answer in answers} == {answers[0][1]["id"]}
        answer = answers[0][1]
        assert (answer["identity"], answer["fcm_token"]) == ("ada_1", "phone")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", answer["inserted_at"])
        assert await stored(settings) == [("ada_1", "phone")]

    async def test_a_phone_that_changes_hands_is_the_new_owners(
        self, caller: Caller, settings: NotificationsSettings
    ) -> None:
        """The former owner's messages must not appear on it."""
        await caller.post("ada_1", "/register", {"token": "phone"})
        await caller.post("bob_2", "/register", {"token": "phone"})

        assert await stored(settings) == [("bob_2", "phone")]

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"{", 400),
            (b"{}", 422),
            (b'{"token":null}', 422),
            (b'{"token":""}', 422),
            (b'{"token":"a\\u0000"}', 422),
            (b'{"token":"%s"}' % (b"t" * 256), 422),
            (b'"%s"' % (b"t" * 70_000), 413),
        ],
        ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
    )
    async def test_bad_bodies_are_refused(self, caller: Caller, body: bytes, status: int) -> None:
        """Each gets a 4xx in the one shape."""
        answered, answer = await caller.post("ada_1", "/register", body)

        assert answered == status
        assert set(answer["error"]) == {"code", "message"}


class TestUnregister:
    @pytest.mark.parametrize(
        ("body", "left"),
        [
            ({"token": "phone"}, [("ada_1", "tablet"), ("bob_2", "other")]),
            ({}, [("bob_2", "other")]),
            (None, [("bob_2", "other")]),
            ({"token": "other"}, [("ada_1", "phone"), ("ada_1", "tablet"), ("bob_2", "other")]),
        ],
    )
    async def test_it_forgets_ones_own_devices_alone(
        self,
        caller: Caller,
        settings: NotificationsSettings,
        body: dict[str, Any] | None,
        left: list[tuple[str, str]],
    ) -> None:
        """One device when it is named, all of the caller's when none is, somebody else's never."""
        for identity, token in (("ada_1", "phone"), ("ada_1", "tablet"), ("bob_2", "other")):
            await caller.post(identity, "/register", {"token": token})

        assert await caller.post("ada_1", "/unregister", body) == (200, True)
        assert await stored(settings) == left


@pytest.mark.parametrize("path", ["/register", "/unregister"])
async def test_without_a_bearer_it_is_a_401(notifications: Running, client: aiohttp.ClientSession, path: str) -> None:
    """Nobody registers a device for somebody else."""
    async with client.post(notifications.public + path, json={"token": "phone"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (401, "not_authenticated")


class TestNotify:
    async def test_with_pushes_off_it_says_so(self, caller: Caller) -> None:
        """The answer is honest: so many devices, and nothing was pushed."""
        await caller.post("ada_1", "/register", {"token": "phone"})
        await caller.post("ada_1", "/register", {"token": "tablet"})

        assert await caller.notify("ada_1", "bob_2") == (200, {"result": {"push": "off", "devices": 2}})

    @pytest.mark.parametrize(
        "changes",
        [
            {"identities": "ada_1"},
            {"identities": [7]},
            {"notification": {"title": "no body"}},
            {"notification": None},
            {"data": {"n": 1}},
            {"data": {"google.key": "x"}},
            {"data": {"from": "x"}},
            {"data": {"long": "x" * 2100}},
            {"data": {"nul": "a\x00"}},
            {"key": ""},
            {"key": "x" * 129},
            {"key": 7},
            {"collapse_key": "x" * 65},
            {"collapse_key": "日"},
            {"rank": -1},
            {"badges": {"ada_1": -1}},
            {"badges": {"ada_1": 1e3}},
            {"badges": ["ada_1"]},
        ],
        ids=str,
    )
    async def test_a_body_of_the_wrong_shape_is_refused(self, caller: Caller, changes: dict[str, Any]) -> None:
        """What FCM would refuse is refused here, before it costs a device its registration."""
        status, answer = await caller.notify("ada_1", **changes)

        assert (status, answer["error"]["code"]) == (422, "invalid")

    async def test_it_asks_for_the_credential(
        self, notifications: Running, client: aiohttp.ClientSession, signer: Signer
    ) -> None:
        """Neither nothing nor a user's token opens the internal port, and the public port has no such route."""
        url = f"{notifications.internal}/internal/notify"
        for headers in ({}, {"Authorization": "Bearer wrong"}, bearer(signer, "ada_1")):
            async with client.post(url, json={}, headers=headers) as response:
                assert response.status == 401
        async with client.post(f"{notifications.public}/internal/notify", json={}) as response:
            assert response.status == 404

    async def test_with_pushes_off_nothing_is_stored(self, caller: Caller, rows: Rows) -> None:
        """Neither the row nor the text."""
        await caller.post("ada_1", "/register", {"token": "phone"})

        assert await caller.notify("ada_1", key="message:1") == (200, {"result": {"push": "off", "devices": 1}})
        assert await caller.batch({"identities": ["ada_1"], "notification": NOTE, "data": DATA}) == (
            200,
            {"results": [{"push": "off", "devices": 1}]},
        )
        assert await rows.states() == {}

    @pytest.mark.parametrize(
        "body",
        [{}, {"notifications": {}}, {"notifications": [{}]}, {"notifications": [None]}, {"notifications": [{}] * 501}],
        ids=lambda body: str(body)[:40],
    )
    async def test_a_batch_of_the_wrong_shape_is_refused(self, caller: Caller, body: dict[str, Any]) -> None:
        """All of it."""
        status, answer = await caller.internal("/internal/notify/batch", body)

        assert (status, answer["error"]["code"]) == (422, "invalid")

    async def test_every_device_of_everybody_is_reached_and_gone_ones_are_forgotten(
        self, pushing: Caller, fcm: FcmStandIn, rows: Rows, client: aiohttp.ClientSession
    ) -> None:
        """The answer comes once it is stored; FCM's own word decides then."""
        for identity, token in (("ada_1", "phone"), ("ada_1", "gone"), ("bob_2", "tablet"), ("cy_3", "not asked for")):
            await pushing.post(identity, "/register", {"token": token})
        fcm.troubles["gone"].append(UNREGISTERED)

        answer = await pushing.notify("ada_1", "bob_2", badges={"ada_1": 4})

        assert answer == (200, {"result": {"push": "fcm", "devices": 3, "stored": 3}})
        await until(lambda: settled(rows))
        assert fcm.got == {"phone": 1, "tablet": 1}
        message = next(message for message in fcm.messages if message["token"] == "phone")
        assert (message["notification"], message["data"]) == (NOTE, DATA)
        assert message["apns"]["payload"]["aps"] == {"badge": 4}
        assert await rows.registered() == [("ada_1", "phone"), ("bob_2", "tablet"), ("cy_3", "not asked for")]
        async with client.get(f"{pushing.running.internal}/metrics") as response:
            text = await response.text()
        for line in ('{outcome="stored"} 3.0', '{outcome="sent"} 2.0', '{outcome="gone"} 1.0'):
            assert f"stampchat_pushes_total{line}" in text

    async def test_the_same_key_again_pushes_nothing_twice(self, pushing: Caller, fcm: FcmStandIn, rows: Rows) -> None:
        """Also in one batch, and also for a device that came between."""
        await pushing.post("ada_1", "/register", {"token": "phone"})
        one = {"identities": ["ada_1"], "notification": NOTE, "data": DATA, "key": "message:1"}
        assert await pushing.batch(one, one) == (200, {"results": [FIRST, REPEATED]})
        await until(lambda: settled(rows))
        await pushing.post("ada_1", "/register", {"token": "tablet"})

        _, answer = await pushing.batch(one)

        assert answer == {"results": [{"push": "fcm", "devices": 2, "stored": 1}]}
        await until(lambda: settled(rows))
        assert fcm.got == {"phone": 1, "tablet": 1}

    async def test_people_unknown_or_without_devices_cost_nothing(self, pushing: Caller, rows: Rows) -> None:
        """Nobody at all is fine too."""
        assert await pushing.notify("nobody") == (200, {"result": {"push": "fcm", "devices": 0, "stored": 0}})
        assert await pushing.notify() == (200, {"result": {"push": "fcm", "devices": 0, "stored": 0}})
        assert await pushing.batch() == (200, {"results": []})
        assert await rows.states() == {}


FIRST = {"push": "fcm", "devices": 1, "stored": 1}
REPEATED = {"push": "fcm", "devices": 0, "stored": 0}


@pytest.fixture
async def pushing(  # noqa: PLR0917  # fixtures
    push_settings: NotificationsSettings,
    rows: Rows,
    run_service: RunService,
    client: aiohttp.ClientSession,
    signer: Signer,
    credential: Secret,
) -> Caller:
    """Call a service that pushes."""
    del rows
    return Caller(await run_service(open_apps(push_settings)), client, signer, credential)


async def settled(rows: Rows) -> bool:
    """Say whether nothing waits."""
    return "waiting" not in {state for states in (await rows.states()).values() for state in states}
