from __future__ import annotations

import asyncio
import gzip
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import msgspec
import pytest
from aiohttp import web

from services import errors
from services.health import Health
from services.metrics import Metrics
from services.port_settings import RateSettings
from services.serve import Apps
from services.settings import Secret, ServerSettings
from services.tokens import Signer, Verifier
from services.web import (
    VERIFIER,
    authenticate,
    client_address,
    create_internal_app,
    create_public_app,
    json_response,
    read_json,
)
from tests.services.conftest import SERVER, Running, RunService


class Echo(msgspec.Struct):
    """Be a body."""

    word: str


@asynccontextmanager
async def open_sample(
    credential: Secret, signer: Signer, health: Health, server: ServerSettings
) -> AsyncIterator[Apps]:
    """Open a service that fails in every way."""
    metrics = Metrics("sample")
    public = create_public_app(
        server=server, health=health, metrics=metrics, login_path="/login", socket_path="/socket"
    )
    public[VERIFIER] = Verifier({signer.kid: signer.public_key})

    async def fail(request: web.Request) -> web.Response:
        kind = getattr(errors, request.match_info["kind"], ZeroDivisionError)
        raise kind("the secret sentence" if kind is ZeroDivisionError else "No.")

    async def who(request: web.Request) -> web.Response:
        return json_response({"address": client_address(request)})

    async def me(request: web.Request) -> web.Response:
        return json_response({"identity": authenticate(request).identity})

    async def echo(request: web.Request) -> web.Response:
        return json_response(await read_json(request, Echo))

    public.router.add_post("/echo", echo)
    public.router.add_post("/login", who)
    public.router.add_get("/socket", who)
    public.router.add_post("/me", me)
    public.router.add_get("/fail/{kind}", fail)
    public.router.add_get("/who", who)
    public.router.add_get("/me", me)
    internal = create_internal_app(
        server=server, health=health, metrics=metrics, credential=credential, openapi={"openapi": "3.1.0"}
    )
    internal.router.add_get("/internal/who", who)
    yield Apps(public=public, internal=internal, health=health)


@pytest.fixture
def health() -> Health:
    """Make a health without checks."""
    return Health()


@pytest.fixture
def server() -> ServerSettings:
    """Give the usual settings behind two proxies; a class that tests others overrides this."""
    return replace(SERVER, trusted_hops=2)


@pytest.fixture
async def sample(
    run_service: RunService, credential: Secret, signer: Signer, health: Health, server: ServerSettings
) -> Running:
    """Run the sample."""
    return await run_service(open_sample(credential, signer, health, server))


def mint(signer: Signer, identity: str) -> str:
    """Mint a token as auth does."""
    now = int(time.time())
    user = {"id": 7, "identity": identity, "name": None, "email": None, "picture": None}
    return signer.mint(user, auth_time=now, expires=now + 60)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("Malformed", 400, "malformed"),
        ("NotAuthenticated", 401, "not_authenticated"),
        ("TokenError", 401, "bad_token"),
        ("NotFound", 404, "not_found"),
        ("Conflict", 409, "conflict"),
        ("TooLarge", 413, "too_large"),
        ("Invalid", 422, "invalid"),
        ("TooManyRequests", 429, "too_many_requests"),
        ("BadGateway", 502, "bad_gateway"),
        ("DatabaseUnavailable", 503, "database_unavailable"),
        ("bug", 500, "internal"),
    ],
)
async def test_each_failure_has_its_status_and_the_one_shape(
    sample: Running, client: aiohttp.ClientSession, kind: str, status: int, code: str
) -> None:
    """A mistake of ours shows neither its words nor its stack."""
    async with client.get(f"{sample.public}/fail/{kind}") as response:
        text = await response.text()

    error = json.loads(text)["error"]
    assert (response.status, error["code"], set(error)) == (status, code, {"code", "message"})
    assert "secret" not in text
    assert response.headers["Server"] == "stampchat"
    assert ("Retry-After" in response.headers) == (status == 503)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("1.1.1.1, 2.2.2.2, 3.3.3.3", "2.2.2.2"),
        ("2.2.2.2,3.3.3.3", "2.2.2.2"),
        ("3.3.3.3", "127.0.0.1"),
        (None, "127.0.0.1"),
    ],
)
async def test_the_client_is_whom_the_trusted_hops_saw(
    sample: Running, client: aiohttp.ClientSession, forwarded: str | None, address: str
) -> None:
    """What stands before their entries is whatever the client chose to send."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    async with client.get(f"{sample.public}/who", headers=headers) as response:
        assert await response.json() == {"address": address}


BODIES = {
    "gzip": (
        {"Content-Encoding": "gzip"},
        gzip.compress(b"[" + b" " * 50_000_000 + b"]"),
        415,
        "unsupported_media_type",
    ),
    "brotli": ({"Content-Encoding": "br"}, b"{}", 415, "unsupported_media_type"),
    "said to be a form": ({"Content-Type": "application/x-www-form-urlencoded"}, b"{}", 415, "unsupported_media_type"),
    "no Content-Type": ({"Content-Type": ""}, b"{}", 415, "unsupported_media_type"),
    "long": ({}, b'"' + b"x" * SERVER.max_body_bytes + b'"', 413, "too_large"),
    "no JSON": ({}, b"{", 400, "malformed"),
    "deep": ({}, b'{"other":' + b"[" * 50_000, 400, "malformed"),
    "no UTF-8": ({}, b'{"word":"\xff"}', 400, "malformed"),
    "nothing": ({}, b"", 400, "malformed"),
    "of another shape": ({}, b"[]", 422, "invalid"),
    "said to be JSON of a kind": ({"Content-Type": "application/problem+json"}, b'{"word":"a"}', 200, ""),
}


@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
@pytest.mark.parametrize("case", BODIES.values(), ids=BODIES)
async def test_a_body_that_cannot_be_read_is_refused(
    sample: Running, client: aiohttp.ClientSession, case: tuple[dict[str, str], bytes, int, str], *, chunked: bool
) -> None:
    """A bomb is not unpacked, a long one not read to its end, whether its length is announced or not."""
    headers, body, status, code = case

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    sent = {"Content-Type": "application/json", **headers}
    url = f"{sample.public}/echo"
    async with client.post(url, data=pieces() if chunked else body, headers=sent) as response:
        answer = await response.json()
        assert response.status == status
        assert answer.get("error", {}).get("code", "") == code


class TestRates:
    @pytest.fixture
    def server(self, still_rates: None) -> ServerSettings:  # noqa: ARG002  # it only has to be there
        """Let everybody do little."""
        rates = RateSettings(
            address_per_second=1,
            address_burst=5,
            user_per_second=1,
            user_burst=3,
            writes_per_second=1,
            writes_burst=2,
            logins_per_minute=1,
            logins_burst=2,
        )
        return replace(SERVER, trusted_hops=1, rates=rates)

    @staticmethod
    async def call(
        client: aiohttp.ClientSession, url: str, *, address: str, token: str = "", method: str = "GET"
    ) -> tuple[int, str | None]:
        """Call from an address; return the status and when to come again."""
        headers = {"X-Forwarded-For": address}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with client.request(method, url, headers=headers) as response:
            if response.status == 429:
                assert (await response.json())["error"]["code"] == "too_many_requests"
            return response.status, response.headers.get("Retry-After")

    async def test_an_address_is_bounded_before_anybody_is_known(
        self, sample: Running, client: aiohttp.ClientSession
    ) -> None:
        """A path that is not there counts as well; another address is free."""
        addresses = ["2001:db8::1", "2001:db8::2"] * 3
        answers = [await self.call(client, f"{sample.public}/nowhere", address=address) for address in addresses]

        assert [status for status, _ in answers] == [404] * 5 + [429]
        assert answers[-1][1] == "1"
        assert (await self.call(client, f"{sample.public}/who", address="2001:db8:0:1::1"))[0] == 200

    async def test_a_user_is_bounded_wherever_they_are(
        self, sample: Running, client: aiohttp.ClientSession, signer: Signer
    ) -> None:
        """What writes is bounded more tightly, and another user is free."""
        ada, bob = (mint(signer, identity) for identity in ("ada_1", "bob_2"))
        addresses = (f"203.0.113.{number}" for number in range(100))

        async def call(token: str, method: str) -> int:
            url = f"{sample.public}/me"
            return (await self.call(client, url, address=next(addresses), token=token, method=method))[0]

        assert [await call(ada, "POST") for _ in range(3)] == [200, 200, 429]
        assert [await call(bob, "GET") for _ in range(4)] == [200, 200, 200, 429]

    async def test_logins_are_bounded_more_tightly(self, sample: Running, client: aiohttp.ClientSession) -> None:
        """Whoever guesses is slowed; the minute is said."""
        url = f"{sample.public}/login"
        answers = [await self.call(client, url, address="203.0.113.7", method="POST") for _ in range(3)]

        assert [status for status, _ in answers] == [200, 200, 429]
        assert 0 < int(answers[-1][1] or 0) <= 60

    async def test_machines_and_sockets_are_not_bounded_here(
        self, sample: Running, client: aiohttp.ClientSession
    ) -> None:
        """The internal port never is, and sockets have limits of their own; refusals are counted."""
        for _ in range(10):
            assert (await self.call(client, f"{sample.internal}/livez", address="203.0.113.7"))[0] == 200
            assert (await self.call(client, f"{sample.public}/socket", address="203.0.113.8"))[0] == 200
        for _ in range(6):
            await self.call(client, f"{sample.public}/who", address="203.0.113.9")
        async with client.get(f"{sample.internal}/metrics") as response:
            assert 'stampchat_rate_limited_total{limit="address"} 1.0' in await response.text()


class TestOrigins:
    @pytest.fixture
    def server(self) -> ServerSettings:
        """Welcome one page."""
        return replace(SERVER, allowed_origins=frozenset({"https://chat.example.org"}))

    async def test_a_page_of_a_welcome_origin_may_call(self, sample: Running, client: aiohttp.ClientSession) -> None:
        """Its preflight is answered, and errors are its to read too."""
        headers = {
            "Origin": "https://chat.example.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        async with client.options(f"{sample.public}/echo", headers=headers) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "https://chat.example.org"
            assert "POST" in response.headers["Access-Control-Allow-Methods"]
            assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
            assert "Access-Control-Allow-Credentials" not in response.headers
        for path in ("/who", "/me", "/nowhere", "/fail/bug"):
            async with client.get(sample.public + path, headers={"Origin": "https://chat.example.org"}) as response:
                assert response.headers["Access-Control-Allow-Origin"] == "https://chat.example.org"
                assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
                assert response.headers["Vary"] == "Origin"

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://chat.example.org.evil.example"])
    async def test_a_page_of_another_origin_may_not(
        self, sample: Running, client: aiohttp.ClientSession, origin: str
    ) -> None:
        """Its browser keeps the answer from it."""
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        for method in ("GET", "OPTIONS"):
            async with client.request(method, f"{sample.public}/who", headers=headers) as response:
                assert not [name for name in response.headers if name.startswith("Access-Control")]

    async def test_who_names_no_origin_notices_nothing(self, sample: Running, client: aiohttp.ClientSession) -> None:
        """An app has none."""
        async with client.get(f"{sample.public}/who") as response:
            assert response.status == 200
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_the_access_log_names_no_query(
    sample: Running, client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """A token may be in it."""
    with caplog.at_level(logging.DEBUG):
        await (await client.get(f"{sample.public}/who?token=hunter2")).read()
        await (await client.get(f"{sample.public}/nowhere?token=hunter2")).read()

    logged = [record.__dict__["fields"] for record in caplog.records if record.message == "request"]
    assert [(fields["path"], fields["status"]) for fields in logged] == [("/who", 200), ("/nowhere", 404)]
    assert "hunter2" not in str([record.__dict__ for record in caplog.records if record.name.startswith("services")])


async def test_another_service_that_is_away_is_said_and_takes_nobody_out_of_service() -> None:
    """Every replica would see its absence, and go at once."""

    async def away() -> None:
        raise errors.PeerUnavailable("Gone.")

    health = Health()
    health.register("database", _fine)
    health.register("chat", away, essential=False)
    report = await health.report()

    assert (report.is_ready, report.degraded) == (True, ["chat"])
    assert report.checks == {"database": "ok", "chat": "failing: Gone."}


async def _fine() -> None:
    pass


class TestInternalPort:
    async def test_machines_find_what_they_ask_for(
        self, sample: Running, client: aiohttp.ClientSession, health: Health
    ) -> None:
        """Probes and scrapes need no credential."""

        async def away() -> None:
            raise errors.DatabaseUnavailable("Gone.")

        async def get(path: str) -> tuple[int, str]:
            async with client.get(sample.internal + path) as response:
                return response.status, await response.text()

        assert (await get("/livez"))[0] == 200
        assert (await get("/readyz")) == (200, '{"status":"ready","checks":{},"degraded":[]}')
        health.register("database", away)
        status, answer = await get("/readyz")
        failing = {"status": "not ready", "checks": {"database": "failing: Gone."}, "degraded": []}
        assert (status, json.loads(answer)) == (503, failing)
        assert (await get("/livez"))[0] == 200
        assert json.loads((await get("/openapi.json"))[1]) == {"openapi": "3.1.0"}
        assert (
            'stampchat_http_requests_total{method="GET",port="internal",route="/livez",status="200"} 2.0'
            in (await get("/metrics"))[1]
        )

    async def test_the_rest_asks_for_the_credential(
        self, sample: Running, client: aiohttp.ClientSession, credential: Secret
    ) -> None:
        """Whatever the path's spelling, nothing is told to who cannot show it."""
        for path in ("/internal/who", "/internal/nothing", "/livez/", "/%6civez/x", "//livez"):
            async with client.get(sample.internal + path) as response:
                assert response.status == 401
        headers = {"Authorization": f"Bearer {credential.reveal()}"}
        async with client.get(f"{sample.internal}/internal/who", headers=headers) as response:
            assert response.status == 200

    async def test_stopping_is_not_ready(self, sample: Running, client: aiohttp.ClientSession, health: Health) -> None:
        """Nothing new is sent to a process that is on its way out."""
        health.draining = True
        async with client.get(f"{sample.internal}/readyz") as response:
            assert response.status == 503


async def test_a_check_that_hangs_is_a_check_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readiness answers before its probe gives up."""
    monkeypatch.setattr("services.health.CHECK_SECONDS", 0.02)
    health = Health()
    health.register("slow", asyncio.Event().wait)

    report = await health.report()
    assert (report.is_ready, report.checks) == (False, {"slow": "failing: no answer in time"})
