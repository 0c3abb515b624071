"""The web page as a service serves it: its headers, its two forms, what a browser keeps and what it asks about."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import hdrs, web
from aiohttp.test_utils import TestClient, TestServer

from services.cors import allow_origins
from services.page import PageSettings, add_page, security_policy

INDEX = '<!doctype html><meta name="stampchat" content="{}"><script src="/web/main.0123456789ab.js"></script>'
SCRIPT = "export const answer = 42;\n" * 50
PLAIN = {hdrs.ACCEPT_ENCODING: "identity"}
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    (tmp_path / "index.html").write_text(INDEX)
    (tmp_path / "main.0123456789ab.js").write_text(SCRIPT)
    (tmp_path / "packages.json").write_text("[]")
    (tmp_path / ".env").write_text("secret")
    app = web.Application(middlewares=[allow_origins(frozenset({"https://other.example"}))])
    settings = PageSettings(tmp_path, {"logins": ["dev"], "odd": '"><b>'}, ["https://identity.example"])
    add_page(app, settings)
    async with TestClient(TestServer(app), auto_decompress=False) as made:
        yield made


async def test_the_index_tells_the_page_its_config(client: Client) -> None:
    """As an attribute out of which nothing breaks."""
    answer = await client.get("/", headers=PLAIN)
    text = await answer.text()

    assert answer.status == 200
    assert (
        'content="{&quot;logins&quot;: [&quot;dev&quot;], &quot;odd&quot;: &quot;\\&quot;&gt;&lt;b&gt;&quot;}"' in text
    )
    assert answer.headers[hdrs.CACHE_CONTROL] == "no-cache"
    assert answer.headers["Content-Security-Policy"] == security_policy(["https://identity.example"])
    assert "connect-src 'self' https://identity.example;" in answer.headers["Content-Security-Policy"]


async def test_a_file_is_kept_for_ever(client: Client) -> None:
    answer = await client.get("/web/main.0123456789ab.js", headers=PLAIN)

    assert (answer.status, await answer.text()) == (200, SCRIPT)
    assert answer.headers[hdrs.CONTENT_TYPE] == "text/javascript; charset=utf-8"
    assert answer.headers[hdrs.CACHE_CONTROL] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "packs"),
    [("gzip, br", True), ("br;q=1.0, gzip;q=0.8", True), ("gzip;q=0", False), ("gzip; q=0.0, br", False), ("", False)],
)
async def test_it_is_packed_for_whoever_unpacks_it(client: Client, accepted: str, *, packs: bool) -> None:
    answer = await client.get("/web/main.0123456789ab.js", headers={hdrs.ACCEPT_ENCODING: accepted})
    body = await answer.read()

    assert (gzip.decompress(body) if packs else body) == SCRIPT.encode()
    assert (answer.headers.get(hdrs.CONTENT_ENCODING) == "gzip") is packs
    assert answer.headers[hdrs.VARY] == hdrs.ACCEPT_ENCODING


@pytest.mark.parametrize("path", ["/", "/web/main.0123456789ab.js"])
async def test_what_a_browser_has_is_not_sent_again(client: Client, path: str) -> None:
    """Each form by its own tag; a tag of another content, or of the other form, gets all of it."""
    packed = await client.get(path, headers={hdrs.ACCEPT_ENCODING: "gzip"})
    plain = await client.get(path, headers={hdrs.ACCEPT_ENCODING: "identity"})
    tags = [answer.headers[hdrs.ETAG] for answer in (packed, plain)]
    assert len(set(tags)) == 2

    for accepted, tag, other in (("gzip", tags[0], tags[1]), ("identity", tags[1], tags[0])):
        for named, status in ((tag, 304), (f'"x", W/{tag}', 304), ("*", 304), (other, 200), ('"x"', 200)):
            headers = {hdrs.ACCEPT_ENCODING: accepted, hdrs.IF_NONE_MATCH: named}
            answer = await client.get(path, headers=headers)
            assert answer.status == status, (accepted, named)
            assert answer.headers[hdrs.ETAG] == tag
            assert bool(await answer.read()) == (status == 200)


@pytest.mark.parametrize(
    "path", ["/index.html", "/web/", "/web/index.html", "/web/packages.json", "/web/.env", "/web/..%2f.env", "/web/a/b"]
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    answer = await client.get(path, allow_redirects=False)

    assert answer.status == 404


async def test_head_and_a_page_of_another_origin(client: Client) -> None:
    """Both are told on what the answer depends."""
    head = await client.head("/")
    other = await client.get("/", headers={hdrs.ORIGIN: "https://other.example", hdrs.ACCEPT_ENCODING: "gzip"})

    assert (head.status, await head.read()) == (200, b"")
    assert other.headers[hdrs.VARY] == "Accept-Encoding, Origin"
    assert isinstance(other, aiohttp.ClientResponse)


def test_the_policy_has_no_exceptions() -> None:
    """Nothing inline, no eval, no other host, and no text that becomes markup."""
    policy = dict(rule.split(" ", 1) for rule in security_policy().split("; "))

    assert "unsafe" not in security_policy()
    assert set(policy.values()) <= {"'none'", "'self'", "'script'"}
    assert (
        policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == policy["trusted-types"] == "'none'"
    )
