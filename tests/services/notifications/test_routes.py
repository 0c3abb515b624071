from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.migrations import migrate
from services.notifications.app import open_apps
from services.notifications.service_account import ServiceAccount
from services.notifications.settings import NotificationsSettings
from services.settings import Secret
from services.tokens import Signer
from tests.services.conftest import Running, RunService
from tests.services.notifications.conftest import MIGRATIONS, FcmDouble, bearer

NOTE = {"title": "Road trip", "body": "Ada: hi"}
DATA = {"click_action": "FLUTTER_NOTIFICATION_CLICK"}


class Caller:
    """Call a running service as its people and as the chat service do."""

    def __init__(self, running: Running, client: aiohttp.ClientSession, signer: Signer, credential: Secret) -> None:
        self._running = running
        self._client = client
        self._signer = signer
        self._credential = credential

    async def post(self, identity: str, path: str, body: bytes | dict[str, Any] | None = None) -> tuple[int, Any]:
        """Call the public port as somebody."""
        sent = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        url = self._running.public + path
        async with self._client.post(url, headers=bearer(self._signer, identity), **sent) as response:
            return response.status, await response.json()

    async def notify(self, *identities: str, **changes: Any) -> tuple[int, Any]:
        """Call the internal port as chat."""
        body = {"identities": identities, "notification": NOTE, "data": DATA, **changes}
        headers = {"Authorization": f"Bearer {self._credential.reveal()}"}
        url = f"{self._running.internal}/internal/notify"
        async with self._client.post(url, json=body, headers=headers) as response:
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
            {"data": {"long": "x" * 1100}},
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

    async def test_every_device_of_everybody_is_reached_and_gone_ones_are_forgotten(  # noqa: PLR0917  # fixtures
        self,
        settings: NotificationsSettings,
        account: ServiceAccount,
        fcm: FcmDouble,
        run_service: RunService,
        client: aiohttp.ClientSession,
        signer: Signer,
        credential: Secret,
    ) -> None:
        """FCM's own word decides; a passing failure costs nobody their registration."""
        await migrate(settings.database, MIGRATIONS)
        running = await run_service(open_apps(replace(settings, push="fcm", service_account=account, fcm_url=fcm.url)))
        caller = Caller(running, client, signer, credential)
        for identity, token in (("ada_1", "phone"), ("ada_1", "gone"), ("bob_2", "busy"), ("cy_3", "not asked for")):
            await caller.post(identity, "/register", {"token": token})
        fcm.answers = {"gone": (404, "UNREGISTERED"), "busy": (503, "UNAVAILABLE")}

        result = {"push": "fcm", "devices": 3, "sent": 1, "gone": 1, "later": 1, "refused": 0}
        assert await caller.notify("ada_1", "bob_2") == (200, {"result": result})
        assert {message["token"] for message in fcm.messages} == {"phone", "gone", "busy"}
        assert fcm.messages[0]["notification"] == NOTE
        assert fcm.messages[0]["data"] == DATA
        assert await stored(settings) == [("ada_1", "phone"), ("bob_2", "busy"), ("cy_3", "not asked for")]
        async with client.get(f"{running.internal}/metrics") as response:
            assert 'stampchat_pushes_total{outcome="gone"} 1.0' in await response.text()
