"""Run the notifications service, with pushes off or beside a stand-in for FCM."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.migrations import migrate
from services.notifications.app import open_apps
from services.notifications.service_account import ServiceAccount
from services.notifications.settings import NotificationsSettings
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer
from tests.services.conftest import SERVER, Running, RunService
from tests.services.stand_in import serving

MIGRATIONS = Path("services/notifications/migrations").resolve()
ACCOUNT_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ACCOUNT_PEM = ACCOUNT_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


@dataclass
class FcmDouble:
    """Stand where FCM and Google's token endpoint stand; answer each device as told."""

    url: str = ""
    assertions: list[str] = field(default_factory=list)
    access: list[str] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    # By device: the status and the errorCode to answer with.
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)

    async def token(self, request: web.Request) -> web.Response:
        """Answer POST /token with a new access token."""
        self.assertions.append(str((await request.post())["assertion"]))
        return web.json_response({"access_token": f"access-{len(self.assertions)}", "expires_in": 3599})

    async def send(self, request: web.Request) -> web.Response:
        """Answer one send."""
        access = request.headers["Authorization"].removeprefix("Bearer ")
        self.access.append(access)
        if access in self.revoked:
            return web.json_response({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, status=401)
        message = (await request.json())["message"]
        self.messages.append(message)
        status, code = self.answers.get(message["token"], (200, ""))
        details = [{"@type": FCM_ERROR, "errorCode": code}] if code else []
        return web.json_response({"name": "sent"} if status == 200 else {"error": {"details": details}}, status=status)


@pytest.fixture
async def fcm() -> AsyncIterator[FcmDouble]:
    """Serve the stand-in on a free port."""
    double = FcmDouble()
    app = web.Application()
    app.router.add_post("/token", double.token)
    app.router.add_post("/v1/projects/stampchat-test/messages:send", double.send)
    async with serving(app) as url:
        double.url = url
        yield double


@pytest.fixture
def account(fcm: FcmDouble) -> ServiceAccount:
    """Make a service account whose tokens the stand-in gives."""
    return ServiceAccount("stampchat-test", "push@example.com", Secret(ACCOUNT_PEM), f"{fcm.url}/token")


@pytest.fixture
def account_json(account: ServiceAccount) -> str:
    """Write the account as Firebase's console does."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": account.project_id,
            "client_email": account.client_email,
            "private_key": account.private_key.reveal(),
            "token_uri": account.token_uri,
        }
    )


@pytest.fixture
def settings(database: DatabaseSettings, credential: Secret, signer: Signer) -> NotificationsSettings:
    """Tell the service where everything is; pushes are off."""
    return NotificationsSettings(
        server=SERVER,
        database=database,
        credential=credential,
        token_keys={signer.kid: signer.public_key},
        push="off",
    )


@pytest.fixture
async def notifications(settings: NotificationsSettings, run_service: RunService) -> Running:
    """Run the service on a migrated database."""
    await migrate(settings.database, MIGRATIONS)
    return await run_service(open_apps(settings))


def bearer(signer: Signer, identity: str) -> dict[str, str]:
    """Return the headers of a caller."""
    now = int(time.time())
    user = {"id": 1, "name": None, "email": None, "picture": None, "identity": identity}
    return {"Authorization": f"Bearer {signer.mint(user, auth_time=now, expires=now + 60)}"}
