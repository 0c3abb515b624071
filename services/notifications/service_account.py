"""Turn the Firebase service account into short-lived access tokens.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from services.peers import read_answer
from services.settings import Secret, Source

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
ASSERTION_SECONDS = 3600
# A token is replaced this long before it ends, so that none ends on its way.
EARLY_SECONDS = 60
MAX_ANSWER_BYTES = 64 * 1024
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


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


class MintError(Exception):
    """Say that there is no access token.

    Args:
        reason: why, without a secret.
        retry_after: seconds that Google asks us to wait, if it does.
        is_refusal: whether Google does not take the account, which a person has to mend.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, is_refusal: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.is_refusal = is_refusal


class AccessTokens:
    """Fetch an access token and keep it until shortly before its end; whoever asks meanwhile waits for the one request.

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
        self._fetching: asyncio.Task[None] | None = None
        self._token = ""
        self._until = float("-inf")

    async def get(self, *, refused: str = "") -> str:
        """Return a token.

        Args:
            refused: a token that was just answered with 401; another is then minted.

        Raises:
            MintError: the token cannot be had.
        """
        if self._clock() >= self._until or self._token == refused:
            if self._fetching is None:
                self._fetching = asyncio.create_task(self._renew())
            # One who gives up does not end it for the others; all of them share its failure.
            await asyncio.shield(self._fetching)
        return self._token

    async def _renew(self) -> None:
        try:
            answer = await self._fetch()
            self._token = answer.access_token
            self._until = self._clock() + answer.expires_in - EARLY_SECONDS
        finally:
            self._fetching = None

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
        try:
            async with self._session.post(self._account.token_uri, data=form) as response:
                body = await read_answer(response, MAX_ANSWER_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise MintError(f"no access token: {type(error).__name__}") from error
        if response.status != HTTPStatus.OK:
            is_refusal = response.status < HTTPStatus.INTERNAL_SERVER_ERROR and response.status not in _PASSING
            raise MintError(f"no access token: HTTP {response.status}", is_refusal=is_refusal)
        try:
            return msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MintError("no access token: the answer is none") from error
