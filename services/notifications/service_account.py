"""Turn the Firebase service account into short-lived access tokens.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from services.settings import Secret, Source

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
ASSERTION_SECONDS = 3600
# A token is replaced this long before it ends, so that none ends on its way.
EARLY_SECONDS = 60


class _File(msgspec.Struct):
    type: str
    project_id: str
    client_email: str
    private_key: str
    token_uri: str = TOKEN_URI


@dataclass(frozen=True)
class ServiceAccount:
    """Hold what the JSON file says; its private key prints as nothing."""

    project_id: str
    client_email: str
    private_key: Secret
    token_uri: str


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float


def load_service_account(source: Source, name: str) -> ServiceAccount | None:
    """Read and check the mounted JSON file; a problem never quotes it."""
    content = source.secret_file(name)
    if not content:
        return None
    try:
        file = msgspec.json.decode(content.reveal(), type=_File)
        key = serialization.load_pem_private_key(file.private_key.encode(), password=None)
    except (msgspec.DecodeError, ValueError, TypeError):
        source.problem(name, "names a file that is not the JSON of a service account with its private key")
        return None
    if file.type != "service_account" or not isinstance(key, RSAPrivateKey):
        source.problem(name, "names a JSON file whose type is not service_account, or whose key is not RSA")
        return None
    return ServiceAccount(file.project_id, file.client_email, Secret(file.private_key), file.token_uri)


class AccessTokens:
    """Fetch an access token and keep it until shortly before its end, one request at a time.

    Args:
        account: who we are.
        session: the HTTP client to use.
        clock: the present, in seconds since 1970.
    """

    def __init__(
        self, account: ServiceAccount, session: aiohttp.ClientSession, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._account = account
        self._session = session
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._until = float("-inf")

    async def get(self, *, refused: str = "") -> str:
        """Return a token.

        Args:
            refused: a token that was just answered with 401; another is then minted.

        Raises:
            aiohttp.ClientError: the token cannot be had.
        """
        async with self._lock:
            if self._clock() >= self._until or self._token == refused:
                answer = await self._fetch()
                self._token = answer.access_token
                self._until = self._clock() + answer.expires_in - EARLY_SECONDS
            return self._token

    async def _fetch(self) -> _Answer:
        now = int(self._clock())
        claims = {
            "iss": self._account.client_email,
            "scope": SCOPE,
            "aud": self._account.token_uri,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        assertion = jwt.encode(claims, self._account.private_key.reveal(), algorithm="RS256")
        form = {"grant_type": GRANT_TYPE, "assertion": assertion}
        async with self._session.post(self._account.token_uri, data=form) as response:
            response.raise_for_status()
            return msgspec.json.decode(await response.read(), type=_Answer)
