"""Send each service what its own OpenAPI document allows, and what it forbids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import InvalidArgument, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.services.chat.phoenix import Phoenix
from tests.services.conftest import MakeDatabase
from tests.services.processes import Fleet

# Auth comes last: it deletes accounts.
SERVICES = ("notifications", "chat", "auth")
EXAMPLES = 8
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    ignored_auth,
]
MANY = "1000000"
# Every call counts here, and none is to be refused for its number.
PATIENT = {
    f"RATE_{name}": MANY
    for name in (
        "ADDRESS_PER_SECOND",
        "ADDRESS_BURST",
        "USER_PER_SECOND",
        "USER_BURST",
        "WRITES_PER_SECOND",
        "WRITES_BURST",
        "LOGINS_PER_MINUTE",
        "LOGINS_BURST",
    )
}
# What is named in a body, and not by its type.
HARD_TO_GUESS = {
    ("POST", "/channels/leave"),
    ("POST", "/channels/{id}/read"),
    ("POST", "/channels/{id}/remove"),
    ("POST", "/blocks"),
    ("POST", "/reports"),
}
ODD_PATHS = [
    "/%00",
    "/test%00",
    "/channels/%00/events",
    "/channels/1%00/events",
    "//test",
    "/test//",
    "/./test/../test",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/channels/99999999999999999999999/events",
    "/channels/-1/events",
    "/channels/1e3/events",
    "/channels/%ff%fe/events",
    "/channels/1/events?last_message_id=%00",
    "/channels/1/events?last_message_id=9999999999999999999999999",
    "/channels/1/events?last_message_id=1&last_message_id=x",
    "/test?" + "a=b&" * 1500,
    "/test?" + "%" * 2000,
    "/*",
    "/internal/users",
    "/%69nternal/users",
    "/livez",
    "/metrics",
]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "X-Y"]


@pytest.fixture
async def fleet(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Run the three services, patient with whoever calls often."""
    databases = {name: await make_database() for name in SERVICES}
    made = Fleet(tmp_path, databases, extra={name: {**PATIENT, "LOG_LEVEL": "info"} for name in SERVICES})
    made.extra["chat"] |= dict.fromkeys(FEATURE_RATES, "10000")
    try:
        await made.start_all()
        yield made
    finally:
        await made.kill()


FEATURE_RATES = (
    "READS_PER_MINUTE",
    "EDITS_PER_MINUTE",
    "BLOCKS_PER_MINUTE",
    "REPORTS_PER_HOUR",
    "OWNER_ACTS_PER_MINUTE",
)


async def log_in(fleet: Fleet, client: aiohttp.ClientSession, name: str) -> str:
    """Return somebody's token."""
    body = {"authProvider": "dev", "token": name}
    async with client.post(f"{fleet.started['auth'].public}/login", json=body) as response:
        assert response.status == 200, await response.text()
        return str((await response.json())["token"])


def fuzz(document: dict[str, Any], base: str, token: str, known: dict[str, int]) -> list[str]:
    """Try every operation with data of both kinds; return what was wrong.

    Args:
        document: what to keep to.
        base: where the service is.
        token: somebody's.
        known: path parameters that name something, which a random number does not.
    """
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=base)
    # Whoever leaves or deletes something ends what the other calls need.
    found: Iterable[Any] = schema.get_all_operations()
    operations = sorted((operation.ok() for operation in found), key=ends_something)
    wrong = []
    for operation in operations:
        secured = bool(operation.definition.raw.get("security"))
        headers = {"Authorization": f"Bearer {token}"} if secured else {}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                attack(operation, mode, headers, known if mode is GenerationMode.POSITIVE else {})
            except (Exception, FailureGroup) as error:  # noqa: BLE001  # all of them are told together
                told = "\n".join(map(str, getattr(error, "exceptions", [error])))
                wrong.append(f"{operation.label} ({mode.value}): {told}")
    return wrong


def ends_something(operation: Any) -> bool:
    """Say whether a call should come after the others."""
    return bool(operation.method == "delete" or operation.path == "/channels/leave")


def attack(operation: Any, mode: GenerationMode, headers: dict[str, str], known: dict[str, int]) -> None:
    """Call one operation often."""
    calls = 0

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            case.path_parameters.update({name: known[name] for name in case.path_parameters or {} if name in known})
        case.call_and_validate(headers=headers, checks=CHECKS, timeout=30)

    try:
        call()
    except (Unsatisfiable, InvalidArgument):
        # A call without parameters and body has nothing that could be wrong.
        assert mode is GenerationMode.NEGATIVE
    else:
        assert calls


async def furnish(fleet: Fleet, client: aiohttp.ClientSession) -> dict[str, int]:
    """Make a room with a message and another member; return their ids."""
    chat = fleet.started["chat"].public
    ada, bob = [{"Authorization": f"Bearer {await log_in(fleet, client, name)}"} for name in ("Ada", "Bob")]
    async with client.post(f"{chat}/channels", json={"channel_name": "Road trip"}, headers=ada) as response:
        room = (await response.json())["data"]
    async with client.post(f"{chat}/channels/join", json={"topic": room["topic"]}, headers=bob) as response:
        assert response.status == 200
    token = ada["Authorization"].removeprefix("Bearer ")
    async with client.ws_connect(f"{chat}/socket/websocket?vsn=2.0.0&token={token}") as socket:
        phoenix = Phoenix(socket)
        await phoenix.join(f"room:{room['topic']}")
        message = await phoenix.shout(f"room:{room['topic']}", "hi")
    async with client.get(f"{chat}/channels/{room['id']}/events", headers=ada) as response:
        users = [member["user"]["id"] for member in (await response.json())["data"]["members"]]
    async with client.post(f"{chat}/blocks", json={"user_id": users[-1]}, headers=ada) as response:
        assert response.status == 200
    return {"id": room["id"], "message_id": message["id"], "user_id": users[-1]}


async def test_each_service_keeps_to_its_own_document(fleet: Fleet, client: aiohttp.ClientSession) -> None:
    """No 500, no status and no shape that the document does not have, whatever is sent."""
    known = await furnish(fleet, client)
    wrong: list[str] = []
    for name in SERVICES:
        process = fleet.started[name]
        async with client.get(f"{process.internal}/openapi.json") as response:
            document = await response.json()
        wrong += await asyncio.to_thread(fuzz, document, process.public, await log_in(fleet, client, "Ada"), known)
    assert not wrong, "\n\n".join(wrong)
    errors = [line for process in fleet.started.values() for line in process.lines() if line["level"] == "error"]
    assert errors == []
    for name in SERVICES:
        assert_all_succeeded(fleet.started[name].lines())


def assert_all_succeeded(lines: list[dict[str, Any]]) -> None:
    """Fail when a call was never answered well: then only its refusals were tried."""
    calls = {(line["method"], line["path"]) for line in lines if line["message"] == "request"}
    good = {(line["method"], line["path"]) for line in lines if line["message"] == "request" and line["status"] < 400}
    assert {call for call in calls if call[0] in {"GET", "POST", "PATCH", "PUT", "DELETE"}} - good <= HARD_TO_GUESS


async def test_no_path_and_no_method_makes_a_server_fail(fleet: Fleet, client: aiohttp.ClientSession) -> None:
    """What is not there is a 404 or a 405 in the one shape; machines' calls are not there."""
    token = await log_in(fleet, client, "Ada")
    for process in fleet.started.values():
        for path in ODD_PATHS:
            status, text = await ask(process.public, "GET", path, token)
            assert 200 <= status < 500, (path, status, text)
            if path.strip("/").split("/")[0] in {"internal", "livez", "metrics", "%69nternal"}:
                assert status == 404, path
        for method in METHODS:
            for path in ("/test", "/nowhere", "/channels", "/login", "/register"):
                status, text = await ask(process.public, method, path, token)
                assert 200 <= status < 500, (method, path, status, text)
                assert status < 400 or method == "HEAD" or '{"error":{"code":"' in text, (method, path, text)
    errors = [line for process in fleet.started.values() for line in process.lines() if line["level"] == "error"]
    assert errors == []


async def ask(base: str, method: str, path: str, token: str) -> tuple[int, str]:
    """Send a request as it is written: a client of a library would tidy the path up."""
    host, _, port = base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        raw = (await asyncio.wait_for(reader.read(), 60)).decode()
        head, _, text = raw.partition("\r\n\r\n")
        return int(head.split()[1]), text
    finally:
        writer.close()
