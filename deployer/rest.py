"""Speak JSON with the gateway, as the app does."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_TIMEOUT = 10


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        text: the body.
    """

    status: int
    text: str

    def expect(self, status: int) -> Any:
        """Return the body's JSON, provided the status is as expected.

        Raises:
            ValueError: it is another one, or the body is no JSON.
        """
        if self.status != status:
            raise ValueError(f"answered {self.status} {self.text[:200].strip()}, not {status}")
        return json.loads(self.text) if self.text else None


class Rest:
    """Send one request after the other over connections of their own.

    The standard library's client sends a path as it is written, where others tidy dots and slashes up;
    that is what asking for an internal path needs.

    Args:
        url: the gateway's URL.
        trust: whose certificates are taken; None is whom this machine trusts.
    """

    def __init__(self, url: str, trust: ssl.SSLContext | None = None) -> None:
        self._parts = urlsplit(url)
        self._trust = trust

    async def get(self, path: str, *, token: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Send a GET."""
        return await asyncio.to_thread(self._send, "GET", path, None, token, headers)

    async def post(self, path: str, body: dict[str, Any], token: str = "") -> Answer:
        """Send a POST with a JSON body."""
        return await asyncio.to_thread(self._send, "POST", path, json.dumps(body), token)

    def _send(
        self, method: str, path: str, body: str | None, token: str, extra: Mapping[str, str] | None = None
    ) -> Answer:
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            connection = http.client.HTTPSConnection(self._parts.netloc, timeout=_TIMEOUT, context=self._trust)
        else:
            connection = http.client.HTTPConnection(self._parts.netloc, timeout=_TIMEOUT)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        headers.update(extra or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, self._parts.path + path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(errors="replace"))
        finally:
            connection.close()
