from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web

from services import errors
from services.health import Health
from services.metrics import Metrics
from services.serve import Apps
from services.settings import Secret
from services.tokens import Signer, Verifier
from services.web import VERIFIER, authenticate, client_address, create_internal_app, create_public_app, json_response
from tests.services.conftest import SERVER, Running, RunService


@asynccontextmanager
async def open_sample(credential: Secret, signer: Signer, health: Health) -> AsyncIterator[Apps]:
    """Open a service that fails in every way."""
    server, metrics = replace(SERVER, trusted_hops=2), Metrics()
    public = create_public_app(server=server, health=health, metrics=metrics)
    public[VERIFIER] = Verifier({signer.kid: signer.public_key})

    async def fail(request: web.Request) -> web.Response:
        kind = getattr(errors, request.match_info["kind"], ZeroDivisionError)
        raise kind("the secret sentence" if kind is ZeroDivisionError else "No.")

    async def who(request: web.Request) -> web.Response:
        return json_response({"address": client_address(request)})

    async def me(request: web.Request) -> web.Response:
        return json_response({"identity": authenticate(request).identity})

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
async def sample(run_service: RunService, credential: Secret, signer: Signer, health: Health) -> Running:
    """Run the sample."""
    return await run_service(open_sample(credential, signer, health))


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
    assert (report.is_ready, report.checks) == (False, {"slow": "failing: TimeoutError"})
