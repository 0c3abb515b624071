"""Call another of the services, with our credential and the request's id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import hdrs

from services import tracing
from services.errors import PeerUnavailable
from services.logs import REQUEST_ID_HEADER, request_id
from services.settings import Secret

CONNECT_SECONDS = 2.0
TOTAL_SECONDS = 10.0
# By then the network has forgotten a pod that is going.
AGAIN_SECONDS = 0.25
# Readiness waits for the answer, and is itself waited for.
PING_SECONDS = 1.0
# Our own services answer in a few hundred bytes.
MAX_ANSWER_BYTES = 1024 * 1024


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Open the one HTTP client of a service and close it at the end."""
    timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


async def read_answer(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read a whole answer, in however many pieces it comes.

    Raises:
        ValueError: it is longer than `most` bytes.
    """
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > most:
            raise ValueError(f"the answer is over {most} bytes")
    return bytes(content)


class Peer:
    """Be the way to one port of another service.

    Args:
        name: what it is called in an error, such as "chat".
        url: its address, without a trailing slash.
        session: the HTTP client to use.
        credential: what its internal port asks for; none for a public port.
    """

    def __init__(
        self, name: str, url: str, session: aiohttp.ClientSession, *, credential: Secret | None = None
    ) -> None:
        self._name = name
        self._url = url
        self._session = session
        self._credential = credential

    async def get(self, path: str) -> Any:
        """Return the JSON that a GET answers, which is asked once more where the connection broke.

        A pod that is being replaced takes its connections along; the next one leads to another pod.

        Raises:
            PeerUnavailable: no answer, no JSON, or an error.
        """
        try:
            return await self._request(hdrs.METH_GET, path, None)
        except PeerUnavailable as error:
            if not isinstance(error.__cause__, aiohttp.ClientConnectionError):
                raise
        await asyncio.sleep(AGAIN_SECONDS)
        return await self._request(hdrs.METH_GET, path, None)

    async def post(self, path: str, body: object) -> Any:
        """Return the JSON that a POST of JSON answers.

        Raises:
            PeerUnavailable: no answer, no JSON, or an error.
        """
        return await self._request(hdrs.METH_POST, path, body)

    async def delete(self, path: str) -> Any:
        """Return the JSON that a DELETE answers.

        Raises:
            PeerUnavailable: no answer, no JSON, or an error.
        """
        return await self._request(hdrs.METH_DELETE, path, None)

    async def ping(self) -> None:
        """Ask the internal port whether somebody lives there; readiness calls this.

        Raises:
            PeerUnavailable: nobody does.
        """
        async with asyncio.timeout(PING_SECONDS):
            await self._ask(hdrs.METH_GET, "/livez", None)

    async def _request(self, method: str, path: str, body: object) -> Any:
        # A path may name a person; what is called tells enough.
        with tracing.span(f"{method} {self._name}", kind="client", attributes={"peer.service": self._name}):
            return await self._ask(method, path, body)

    async def _ask(self, method: str, path: str, body: object) -> Any:
        headers = {REQUEST_ID_HEADER: request_id()} if request_id() else {}
        if trace := tracing.traceparent():
            headers[tracing.TRACEPARENT] = trace
        if self._credential is not None:
            headers[hdrs.AUTHORIZATION] = f"Bearer {self._credential.reveal()}"
        try:
            async with self._session.request(method, self._url + path, json=body, headers=headers) as response:
                response.raise_for_status()
                return json.loads(await read_answer(response, MAX_ANSWER_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise PeerUnavailable(f"The {self._name} service does not answer; try again soon.") from error
