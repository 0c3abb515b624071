"""Send every field of every call and event missing, of the wrong type, empty, too long and out of bounds."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from yarl import URL

from services.chat.app import open_apps
from services.chat.feature_limits import FeatureLimits
from services.chat.openapi import DESCRIPTION
from services.chat.settings import ChatSettings
from services.port_settings import RateSettings
from services.tokens import Signer
from tests.services.chat.conftest import ChatService, Person, mint
from tests.services.chat.features.rooms import pair

NOT_TEXT: list[Any] = [None, True, 7, 1.5, [], ["a"], {}, {"a": 1}]
BAD_TEXT: list[Any] = [*NOT_TEXT, "", "\x00", "a\x00b", "x" * 60_000]
NOT_NUMBER: list[Any] = [None, True, 1.5, "", "1", "\x00", [], [1], {}, {"a": 1}]
BAD_NUMBER: list[Any] = [*NOT_NUMBER, 0, -1, 2**63, -(2**63) - 1, 10**30, 2**62]


@dataclass(frozen=True)
class Call:
    """Name one call, and what its fields may not be; what {room} and {message} stand for is put in."""

    method: str
    path: str
    body: dict[str, Any]
    bad: dict[str, list[Any]]


CALLS = [
    Call("POST", "/channels", {"channel_name": "a"}, {"channel_name": BAD_TEXT}),
    Call("POST", "/channels/join", {"topic": "a"}, {"topic": BAD_TEXT}),
    Call("POST", "/channels/leave", {"channel_id": 1}, {"channel_id": BAD_NUMBER}),
    Call("PATCH", "/channels/{room}", {"channel_name": "a"}, {"channel_name": BAD_TEXT}),
    Call("POST", "/channels/{room}/remove", {"member_id": 1}, {"member_id": BAD_NUMBER}),
    Call("POST", "/channels/{room}/read", {"message_id": 1}, {"message_id": BAD_NUMBER}),
    Call("PATCH", "/channels/{room}/messages/{message}", {"message": "a"}, {"message": BAD_TEXT}),
    Call("POST", "/blocks", {"user_id": 1}, {"user_id": BAD_NUMBER}),
    Call("POST", "/blocks", {"identity": "a"}, {"identity": BAD_TEXT}),
    Call("POST", "/reports", {"message_id": 1, "reason": "a"}, {"message_id": BAD_NUMBER, "reason": BAD_TEXT}),
    Call(
        "POST",
        "/reports",
        {"user_id": 1, "channel_id": 1, "reason": "a"},
        {"user_id": BAD_NUMBER, "channel_id": BAD_NUMBER, "reason": BAD_TEXT},
    ),
]
# A path's ids, in calls without a body as well.
PATHS = [
    ("GET", "/channels/{id}/events"),
    ("GET", "/channels/{id}/read"),
    ("POST", "/channels/{id}/read"),
    ("PATCH", "/channels/{id}"),
    ("POST", "/channels/{id}/remove"),
    ("POST", "/channels/{id}/renew"),
    ("PATCH", "/channels/{id}/messages/1"),
    ("DELETE", "/channels/{id}/messages/1"),
    ("PATCH", "/channels/{room}/messages/{id}"),
    ("DELETE", "/channels/{room}/messages/{id}"),
    ("DELETE", "/blocks/{id}"),
]
BAD_IDS = ["x", "0", "-1", "1.5", "%00", "%F0%9F%98%80", "%FF", str(2**63), "9" * 30, "9" * 5000, "+1", "1_0", "%D9%A1"]
EVENTS: list[tuple[str, dict[str, Any], dict[str, list[Any]]]] = [
    ("read", {"message_id": "{message}"}, {"message_id": BAD_NUMBER}),
    ("edit", {"message_id": "{message}", "message": "a"}, {"message_id": BAD_NUMBER, "message": BAD_TEXT}),
    ("delete", {"message_id": "{message}"}, {"message_id": BAD_NUMBER}),
]
MISSING = object()


@pytest.fixture
async def patient(
    settings: ChatSettings, run_service: Any, chat: ChatService, signer: Signer, client: aiohttp.ClientSession
) -> ChatService:
    """Run the service with rates that a table of bad calls does not exceed."""
    many = 100_000
    rates = RateSettings(**dict.fromkeys(RateSettings.__dataclass_fields__, many))
    paces = FeatureLimits(
        edits_per_minute=many,
        reads_per_minute=many,
        blocks_per_minute=many,
        reports_per_hour=many,
        owner_acts_per_minute=many,
    )
    server = replace(settings.server, rates=rates)
    running = await run_service(open_apps(replace(settings, server=server, feature_limits=paces)))

    async def meet(name: str) -> Person:
        person: Person = await chat.meet(name)
        token = mint(signer, person.identity, name)
        return Person(running.public, person.identity, token, client, person.sockets)

    return replace(chat, public=running.public, internal=running.internal, meet=meet)


def put(value: Any, room: dict[str, Any], message: dict[str, Any]) -> Any:
    """Put ids where their names stand."""
    if isinstance(value, dict):
        return {key: put(item, room, message) for key, item in value.items()}
    if value == "{message}":
        return message["id"]
    if isinstance(value, str):
        return value.replace("{room}", str(room["id"])).replace("{message}", str(message["id"]))
    return value


async def send(person: Person, method: str, path: str, raw: bytes | None) -> tuple[int, Any]:
    """Send bytes; return the status and the answer."""
    headers = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json"}
    url = URL(person.base + path, encoded=True)
    async with person.client.request(method, url, data=raw, headers=headers) as response:
        return response.status, json.loads(await response.read())


def hold(status: int, answer: Any, what: object) -> None:
    """Hold a failure to the one shape that errors have."""
    assert 400 <= status < 500, (what, status, answer)
    assert answer.keys() == {"error"}, what
    assert answer["error"].keys() == {"code", "message"}, what
    assert "Traceback" not in str(answer), what


async def test_every_bad_field_of_a_call_gets_a_clear_4xx(patient: ChatService) -> None:
    """Never a 500, never a 200, for whatever a field may be."""
    ada, _, room, topic = await pair(patient)
    said = await (await ada.enter(room)).shout(topic, "a")
    for call in CALLS:
        path = put(call.path, room, said)
        for name, values in call.bad.items():
            for value in [MISSING, *values]:
                body = {**call.body, name: value}
                if value is MISSING:
                    del body[name]
                status, answer = await send(ada, call.method, path, json.dumps(body).encode())
                hold(status, answer, (call.path, name, str(value)[:40]))
            lone = json.dumps({**call.body, name: "@"}).replace('"@"', '"\\ud800"').encode()
            hold(*await send(ada, call.method, path, lone), (call.path, name, "a lone surrogate"))
        deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
        for raw in (None, b"", b"[]", b"null", b"7", b'"a"', b"{", b"\xff", b"\xef\xbb\xbf{}", b"[" * 30_000, deep):
            hold(*await send(ada, call.method, path, raw), (call.path, raw))

    assert (await ada.get(f"/channels/{room['id']}/events"))["data"]["messages"][0] == said


async def test_every_bad_id_in_a_path_is_answered(patient: ChatService) -> None:
    """Never hand Postgres what it cannot hold."""
    ada, _, room, topic = await pair(patient)
    said = await (await ada.enter(room)).shout(topic, "a")
    for method, path in PATHS:
        for bad in BAD_IDS:
            raw = json.dumps({"message_id": 1, "member_id": 1, "channel_name": "a", "message": "a"}).encode()
            url = put(path, room, said).replace("{id}", bad)
            hold(*await send(ada, method, url, None if method in {"GET", "DELETE"} else raw), (method, path, bad[:40]))


async def test_every_bad_field_of_an_event_gets_an_error_reply(patient: ChatService) -> None:
    """Refuse it and keep the channel; a payload that is no object likewise."""
    ada, _, room, topic = await pair(patient)
    hers = await ada.enter(room)
    said = await hers.shout(topic, "a")
    for event, good, bad in EVENTS:
        for name, values in bad.items():
            for value in [MISSING, *values]:
                payload = {**put(good, room, said), name: value}
                if value is MISSING:
                    del payload[name]
                if payload.get(name) != 10**30:
                    reply = await hers.ask(topic, event, payload)
                    assert reply["status"] == "error", (event, name, str(value)[:40])
                    assert isinstance(reply["response"]["reason"], str)
        nothing: Any
        for nothing in (None, [], "a", 7, True):
            assert (await hers.ask(topic, event, nothing))["status"] == "error"

    assert (await hers.ask(topic, "ping", {"a": 1}))["status"] == "ok"
    assert (await ada.get(f"/channels/{room['id']}/events"))["data"]["messages"][0] == said


def test_every_call_that_takes_a_body_is_in_the_table() -> None:
    """Leave none out when one is added."""
    described = {
        (method.upper(), path)
        for path, methods in DESCRIPTION["paths"].items()
        for method, call in methods.items()
        if "requestBody" in call
    }
    tried = {(call.method, call.path.replace("{room}", "{id}").replace("{message}", "{message_id}")) for call in CALLS}

    assert described == tried
