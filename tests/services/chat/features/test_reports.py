"""Report what others say and do, and work the reports off as the operator does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from services.chat.app import open_apps
from services.chat.feature_limits import FeatureLimits
from services.chat.settings import ChatSettings
from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.features.rooms import answered, code, pair


async def operate(chat: ChatService, client: aiohttp.ClientSession, method: str, path: str) -> tuple[int, Any]:
    """Call the internal port as the operator."""
    headers = {"Authorization": f"Bearer {chat.settings.credential.reveal()}"}
    async with client.request(method, chat.internal + path, headers=headers) as response:
        return response.status, await response.json()


async def open_reports(chat: ChatService, client: aiohttp.ClientSession) -> float:
    """Return what the metric says."""
    async with client.get(f"{chat.internal}/metrics") as response:
        lines = (await response.text()).splitlines()
    (line,) = [line for line in lines if line.startswith("stampchat_reports_open")]
    return float(line.rpartition(" ")[2])


async def test_a_report_quotes_what_was_said_and_is_worked_off(
    chat: ChatService, client: aiohttp.ClientSession
) -> None:
    """Keep the text, though its author deletes it; list it until it is handled; measure what is open."""
    ada, bob, room, topic = await pair(chat)
    his = await bob.enter(room)
    said = await his.shout(topic, "something vile")

    made = await ada.post("/reports", {"message_id": said["id"], "reason": "vile"})
    again = await ada.post("/reports", {"message_id": said["id"], "reason": "still vile"})
    await answered(his, topic, "delete", {"message_id": said["id"]})

    assert made == again
    assert await open_reports(chat, client) == 1
    status, listed = await operate(chat, client, "GET", "/internal/reports?open=1")
    (report,) = listed["data"]
    assert (status, report["id"]) == (200, made["data"]["id"])
    assert (report["quoted"], report["reason"], report["handled_at"]) == ("something vile", "vile", None)
    assert (report["channel_id"], report["message_id"]) == (room["id"], said["id"])
    assert (report["reporter"]["identity"], report["reported"]["identity"]) == (ada.identity, bob.identity)
    path = f"/internal/reports/{report['id']}/handled"
    assert await operate(chat, client, "POST", path) == (200, {"success": True})
    assert await operate(chat, client, "POST", path) == (200, {"success": True})
    assert (await operate(chat, client, "GET", "/internal/reports?open=1"))[1] == {"data": []}
    (handled,) = (await operate(chat, client, "GET", "/internal/reports"))[1]["data"]
    assert handled["handled_at"] is not None
    assert (await operate(chat, client, "GET", f"/internal/reports?after={report['id']}"))[1] == {"data": []}
    assert await open_reports(chat, client) == 0


async def test_a_person_in_a_room_can_be_reported(chat: ChatService, client: aiohttp.ClientSession) -> None:
    """Take it without a message, from who takes part, also of somebody who has left."""
    ada, bob, room, _ = await pair(chat)
    users = {
        member["user"]["identity"]: member["user"]["id"]
        for member in (await ada.get(f"/channels/{room['id']}/events"))["data"]["members"]
    }
    await bob.post("/channels/leave", {"channel_id": room["id"]})
    body = {"user_id": users[bob.identity], "channel_id": room["id"], "reason": "his name"}

    assert await code(ada, "POST", "/reports", body) == (200, None)
    assert await code(ada, "POST", "/reports", {**body, "user_id": users[ada.identity]}) == (409, "not_reportable")
    assert await code(bob, "POST", "/reports", {**body, "user_id": users[ada.identity]}) == (404, "not_found")
    (report,) = (await operate(chat, client, "GET", "/internal/reports"))[1]["data"]
    assert (report["message_id"], report["quoted"]) == (None, None)


async def test_only_what_another_said_in_ones_own_room_can_be_reported(chat: ChatService) -> None:
    """Answer 404 for all that is not the caller's to see."""
    ada, _, room, topic = await pair(chat)
    eve = await chat.meet("Eve")
    hers = await ada.enter(room)
    said = await hers.shout(topic, "a")
    (*_, info) = (await ada.get(f"/channels/{room['id']}/events"))["data"]["messages"]

    async def report(person: Person, **fields: Any) -> Any:
        return await code(person, "POST", "/reports", {"reason": "x", **fields})

    assert await report(eve, message_id=said["id"]) == (404, "not_found")
    assert await report(ada, message_id=said["id"]) == (409, "not_reportable")
    assert await report(ada, message_id=info["id"]) == (404, "not_found")
    assert await report(ada, message_id=said["id"], channel_id=room["id"] + 1) == (404, "not_found")
    assert await report(ada, message_id=10**30) == (404, "not_found")
    assert await report(ada, user_id=10**30, channel_id=room["id"]) == (404, "not_found")


@pytest.mark.parametrize("fields", [{}, {"user_id": 1}, {"channel_id": 1}, {"message_id": 1, "user_id": 1}])
async def test_a_report_says_what_it_is_about(chat: ChatService, fields: Any) -> None:
    """Ask for a message, or for a person and a channel."""
    ada = await chat.meet("Ada")

    assert await code(ada, "POST", "/reports", {"reason": "x", **fields}) == (422, "invalid")


async def test_reports_are_paced(
    settings: ChatSettings, run_service: Any, client: aiohttp.ClientSession, chat: ChatService
) -> None:
    """Let nobody bury the operator."""
    ada = await chat.meet("Ada")
    strict = await run_service(open_apps(replace(settings, feature_limits=FeatureLimits(reports_per_hour=2))))
    her = Person(strict.public, ada.identity, ada.token, client, ada.sockets)

    codes = [await code(her, "POST", "/reports", {"reason": "x", "message_id": 1}) for _ in range(3)]

    assert codes == [(404, "not_found")] * 2 + [(429, "too_many_requests")]


@pytest.mark.parametrize("path", ["?after=x", "?after=-1", f"?after={10**30}", "?after="])
async def test_an_odd_page_of_reports_is_refused(chat: ChatService, client: aiohttp.ClientSession, path: str) -> None:
    """Never hand Postgres a number that it cannot hold."""
    assert (await operate(chat, client, "GET", f"/internal/reports{path}"))[0] == 422


async def test_a_report_that_is_none_cannot_be_handled(chat: ChatService, client: aiohttp.ClientSession) -> None:
    """Answer 404, and 401 without the credential."""
    assert (await operate(chat, client, "POST", "/internal/reports/7/handled"))[0] == 404
    assert (await operate(chat, client, "POST", "/internal/reports/x/handled"))[0] == 404
    async with client.get(f"{chat.internal}/internal/reports") as response:
        assert response.status == 401
