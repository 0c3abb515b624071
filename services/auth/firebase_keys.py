"""Keep the provider's public keys: as long as it says, fetched by one request at a time, stale for a while."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

from services.auth.errors import ProviderUnavailable
from services.peers import read_answer

# When the answer names none; Google's is some hours.
DEFAULT_MAX_AGE = 3600
LEAST_MAX_AGE = 60
MOST_MAX_AGE = 86_400
# Keys stay in use this long after their age when new ones cannot be fetched.
STALE_SECONDS = 3600
# Between two attempts after a failure, and between two looks for a key id that nobody knows: a stranger's token must
# not make us ask Google each time.
PAUSE_SECONDS = 5
MAX_BYTES = 256 * 1024
# Every login waits for a fetch that is due, and old keys serve when it fails.
FETCH_TIMEOUT = aiohttp.ClientTimeout(total=4, connect=2)

_MAX_AGE = re.compile(r"\bmax-age=(\d{1,9})\b")
logger = logging.getLogger(__name__)


class FirebaseKeys:
    """Find a public key by its id.

    Args:
        url: where the keys lie, as a JWKS or as certificates.
        session: the HTTP client to use.
        clock: seconds that only grow.
    """

    def __init__(
        self, url: str, session: aiohttp.ClientSession, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._session = session
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: dict[str, RSAPublicKey] = {}
        self._fresh_until = float("-inf")
        self._next_attempt = float("-inf")

    async def find(self, kid: str) -> RSAPublicKey | None:
        """Return the key of an id, or nothing when the provider has no such key.

        Raises:
            ProviderUnavailable: there are no keys that could still be used.
        """
        if self._wants_fetch(kid):
            async with self._lock:
                # Those who waited find what the first one fetched.
                if self._wants_fetch(kid):
                    await self._refresh()
        if self._clock() > self._fresh_until + STALE_SECONDS:
            raise ProviderUnavailable("The login provider's keys cannot be fetched; try again soon.", retry_after=5)
        return self._keys.get(kid)

    def _wants_fetch(self, kid: str) -> bool:
        now = self._clock()
        return now >= self._next_attempt and (now >= self._fresh_until or kid not in self._keys)

    async def _refresh(self) -> None:
        try:
            async with self._session.get(self._url, timeout=FETCH_TIMEOUT) as response:
                response.raise_for_status()
                content = await read_answer(response, MAX_BYTES)
                max_age = _max_age(response.headers.get(aiohttp.hdrs.CACHE_CONTROL, ""))
            keys = _parse_keys(content)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            logger.warning("the login provider's keys cannot be fetched", extra={"fields": {"reason": repr(error)}})
        else:
            self._keys = keys
            self._fresh_until = self._clock() + max_age
        finally:
            self._next_attempt = self._clock() + PAUSE_SECONDS


def _max_age(cache_control: str) -> int:
    match = _MAX_AGE.search(cache_control)
    return max(LEAST_MAX_AGE, min(MOST_MAX_AGE, int(match[1]))) if match else DEFAULT_MAX_AGE


def _parse_keys(content: bytes) -> dict[str, RSAPublicKey]:
    """Read a key set, or an object of PEM certificates by key id, which is the older of Google's two forms."""
    document = msgspec.json.decode(content, type=dict[str, Any])
    entries = document.get("keys")
    if isinstance(entries, list):
        found = {
            str(entry["kid"]): _parse_jwk(entry) for entry in entries if isinstance(entry, dict) and "kid" in entry
        }
    else:
        found = {kid: _parse_certificate(pem) for kid, pem in document.items() if isinstance(pem, str)}
    # A key of another kind, which may be added one day, must not hide those that we can use.
    usable = {kid: key for kid, key in found.items() if isinstance(key, RSAPublicKey)}
    if not usable:
        raise ValueError("the document holds no RSA key")
    return usable


def _parse_jwk(entry: dict[str, Any]) -> object:
    try:
        return jwt.PyJWK.from_dict(entry).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None


def _parse_certificate(pem: str) -> object:
    try:
        return load_pem_x509_certificate(pem.encode()).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
