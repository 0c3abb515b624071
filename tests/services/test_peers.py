from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from services.errors import PeerUnavailable
from services.peers import Peer
from tests.services.stand_in import serving


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """Serve a peer that answers in every way."""

    async def answer(request: web.Request) -> web.Response:
        status, text = int(request.match_info["status"]), request.match_info["text"]
        return web.Response(status=status, text=text)

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"[")
        # The first piece is under way before the second exists.
        await asyncio.sleep(0.05)
        await response.write(b" " * int(request.match_info["spaces"]) + b"1]")
        return response

    app = web.Application()
    app.router.add_get("/trickle/{spaces}", trickle)
    app.router.add_get("/{status}/{text}", answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_json_is_handed_on(url: str, client: aiohttp.ClientSession) -> None:
    """Whatever JSON it is."""
    assert await Peer("chat", url, client).get("/200/[1]") == [1]


async def test_an_answer_in_pieces_is_read_whole(url: str, client: aiohttp.ClientSession) -> None:
    """A network may cut anywhere."""
    assert await Peer("chat", url, client).get("/trickle/1000") == [1]


@pytest.mark.parametrize("path", ["/500/{}", "/404/{}", "/200/nojson", "/200/%FF", "/trickle/2000000"])
async def test_anything_else_is_one_kind_of_failure(url: str, client: aiohttp.ClientSession, path: str) -> None:
    """The caller has one thing to handle, and it says when to come back."""
    with pytest.raises(PeerUnavailable, match="chat service") as raised:
        await Peer("chat", url, client).get(path)

    assert raised.value.retry_after


async def test_nobody_there_is_the_same(client: aiohttp.ClientSession) -> None:
    """A refused connection too."""
    with pytest.raises(PeerUnavailable):
        await Peer("chat", "http://127.0.0.1:9", client).post("/x", {})


async def test_a_get_goes_on_when_a_pod_takes_its_connections_along(client: aiohttp.ClientSession) -> None:
    """Aiohttp asks twice at once, and both may meet the same pod; a moment later it is asked anew, and no oftener."""
    calls, broken = 0, 2

    async def answer(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        if calls <= broken:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(calls)

    app = web.Application()
    app.router.add_get("/", answer)
    async with serving(app) as url:
        assert await Peer("chat", url, client).get("/") == 3

        calls, broken = 0, 1000
        with pytest.raises(PeerUnavailable):
            await Peer("chat", url, client).get("/")

    assert calls == 4


async def test_a_post_is_not_asked_twice(client: aiohttp.ClientSession) -> None:
    """Whoever posts knows whether it may be done twice."""
    calls = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal calls
        calls += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", answer)
    async with serving(app) as url:
        with pytest.raises(PeerUnavailable):
            await Peer("chat", url, client).post("/", {})

    assert calls == 1


async def test_a_delete_has_no_body_and_a_path_that_may_name_anybody(client: aiohttp.ClientSession) -> None:
    """What is quoted once arrives as it was."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(
            [request.method, request.match_info["name"], dict(request.query), request.can_read_body]
        )

    app = web.Application()
    app.router.add_route("*", "/users/{name:.+}", answer)
    async with serving(app) as url:
        for name in ("ada_1", "x_u/ö% {}", "..%2F_", "a_?b=1#c", "_日本"):
            path = f"/users/{quote(name, safe='')}?minted_before=1"
            assert await Peer("chat", url, client).delete(path) == ["DELETE", name, {"minted_before": "1"}, False]
