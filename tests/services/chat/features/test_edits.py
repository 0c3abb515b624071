"""Change and take back what was said, over sockets and by calls, and meet it in pages and after a reconnect."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self

import aiohttp
import asyncpg
import pytest

from services.chat.app import open_apps
from services.chat.feature_limits import FeatureLimits
from services.chat.features import edits
from services.chat.settings import ChatSettings
from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.features.rooms import answered, code, pair, told

STAMP = {"word": "hi", "xPos": 1, "yPos": 2, "strength": 0.5}


async def test_an_edit_is_told_and_shown(chat: ChatService) -> None:
    """Tell the room by "edit", never by "shout", and show it in pages and in the list."""
    ada, bob, room, topic = await pair(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    said = await hers.shout(topic, "helo")
    await his.heard(topic)

    reply, broadcast = await answered(hers, topic, "edit", {"message_id": said["id"], "message": "hello"})

    assert broadcast == await told(his, topic, "edit") == reply["response"]
    edited = broadcast["data"]
    assert {key: edited[key] for key in said if key != "body"} == {key: said[key] for key in said if key != "body"}
    assert (edited["body"], edited.keys() - said.keys()) == ("hello", {"edited_at"})
    page = (await bob.get(f"/channels/{room['id']}/events"))["data"]["messages"]
    assert page[0] == edited
    (listed,) = (await bob.get("/channels"))["data"]
    assert (listed["last_message"]["body"], listed["last_message"]["edited_at"]) == ("hello", edited["edited_at"])
    assert "edited_at" not in page[1]


async def test_an_edit_leaves_the_stamps_and_does_not_tell_them_again(chat: ChatService) -> None:
    """Tell the text alone, as a shout does; the page has the stamps."""
    ada, _, room, topic = await pair(chat)
    hers = await ada.enter(room)
    said = await hers.shout(topic, "a")
    await hers.push(topic, "stamp", {**STAMP, "messageId": said["id"]})
    await hers.heard(topic, "stamp")

    _, broadcast = await answered(hers, topic, "edit", {"message_id": said["id"], "message": "b"})

    page = (await ada.get(f"/channels/{room['id']}/events"))["data"]["messages"]
    assert (broadcast["data"]["stamps"], len(page[0]["stamps"])) == ([], 1)
    again = await ada.open()
    await again.join(topic, {"changes_since": said["inserted_at"]})
    assert len((await again.receive())[4]["messages"][0]["stamps"]) == 1


async def test_a_deleted_message_leaves_a_tombstone(chat: ChatService) -> None:
    """Keep its place, without text and stamps; nothing of it is left in the database."""
    ada, bob, room, topic = await pair(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    said = await hers.shout(topic, "oh no")
    await his.heard(topic)
    await his.push(topic, "stamp", {**STAMP, "messageId": said["id"]})
    await hers.heard(topic, "stamp")
    await his.heard(topic, "stamp")

    _, broadcast = await answered(hers, topic, "delete", {"message_id": said["id"]})

    assert broadcast == await told(his, topic, "delete")
    assert broadcast["data"] == {**said, "body": "", "deleted": True}
    page = (await bob.get(f"/channels/{room['id']}/events"))["data"]["messages"]
    assert page[0] == broadcast["data"]
    refused = await his.ask(topic, "stamp", {**STAMP, "messageId": said["id"]})
    assert refused["status"] == "error"
    connection = await asyncpg.connect(chat.database.url.reveal())
    assert await connection.fetchval("SELECT count(*) FROM stamps") == 0
    assert await connection.fetchval("SELECT count(*) FROM messages WHERE body LIKE '%oh no%'") == 0
    await connection.close()


async def test_the_calls_do_the_same(chat: ChatService) -> None:
    """Edit, edit to the same, delete, delete again: what changes nothing is told to nobody."""
    ada, _, room, topic = await pair(chat)
    hers = await ada.enter(room)
    said = await hers.shout(topic, "a")
    path = f"/channels/{room['id']}/messages/{said['id']}"

    status, edited = await ada.call("PATCH", path, {"message": "b"})
    assert (status, edited) == (200, await told(hers, topic, "edit"))
    assert await ada.call("PATCH", path, {"message": "b"}) == (200, edited)
    status, deleted = await ada.call("DELETE", path)
    assert (status, deleted) == (200, await told(hers, topic, "delete"))
    assert await ada.call("DELETE", path) == (200, deleted)
    await hers.silent(topic)


async def test_what_is_not_ones_own_stays(chat: ChatService) -> None:
    """Refuse to edit another's, a tombstone, or what only happened; only the owner may delete another's."""
    ada, bob, room, topic = await pair(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    of_ada = await hers.shout(topic, "a")
    await his.heard(topic)
    of_bob = await his.shout(topic, "b")
    info = (await ada.get(f"/channels/{room['id']}/events"))["data"]["messages"][-1]
    base = f"/channels/{room['id']}/messages"

    async def code_of(person: Person, method: str, message: dict[str, Any], body: Any = None) -> Any:
        return await code(person, method, f"{base}/{message['id']}", body)

    assert await code_of(bob, "PATCH", of_ada, {"message": "x"}) == (409, "not_yours")
    assert await code_of(ada, "PATCH", of_bob, {"message": "x"}) == (409, "not_yours")
    assert await code_of(ada, "PATCH", info, {"message": "x"}) == (409, "not_yours")
    assert await code_of(ada, "DELETE", info) == (409, "not_yours")
    assert await code_of(bob, "DELETE", of_ada) == (409, "not_yours")
    assert await code_of(ada, "DELETE", of_bob) == (200, None)
    assert await code_of(bob, "PATCH", of_bob, {"message": "x"}) == (409, "deleted")
    other = await ada.make_room("Other")
    status, _ = await ada.call("DELETE", f"/channels/{other['id']}/messages/{of_ada['id']}")
    assert status == 404


async def test_the_moment_to_ask_from_is_the_databases(chat: ChatService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lose no change on a replica whose clock is an hour ahead: it is not asked."""
    ada, _, room, topic = await pair(chat)
    said = await (await ada.enter(room)).shout(topic, "helo")

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=1)

    monkeypatch.setattr(edits, "datetime", Ahead)
    hers = await ada.open()
    await hers.join(topic, {"changes_since": said["inserted_at"]})
    now = (await hers.receive())[4]["now"]
    _, broadcast = await answered(hers, topic, "edit", {"message_id": said["id"], "message": "hello"})

    assert said["inserted_at"] <= now <= broadcast["data"]["edited_at"]


async def test_a_replay_and_the_changes_bring_a_client_up_to_date(chat: ChatService) -> None:
    """Tell a client that comes back of edits and deletions of what it has seen, before it is told anything else."""
    ada, bob, room, topic = await pair(chat)
    hers = await ada.enter(room)
    said = [await hers.shout(topic, text) for text in ("a", "b", "c")]
    his = await bob.open()
    await his.join(topic)
    await his.push(topic, "phx_leave", {})
    await answered(hers, topic, "edit", {"message_id": said[0]["id"], "message": "A"})
    await answered(hers, topic, "delete", {"message_id": said[1]["id"]})

    again = await bob.open()
    payload = {"last_message_id": said[2]["id"], "changes_since": said[0]["inserted_at"]}
    response = await again.join(topic, payload)
    frame = await again.receive()

    assert response == {"messages": [], "recovered": True}
    assert frame[1:4] == [None, topic, "changes"]
    assert frame[4]["complete"] is True
    assert [(message["id"], message["body"]) for message in frame[4]["messages"]] == [
        (said[0]["id"], "A"),
        (said[1]["id"], ""),
    ]
    assert frame[4]["now"] >= said[0]["inserted_at"]


@pytest.mark.parametrize(
    "since", [7, "", "yesterday", "2026-11-23T10:15:00 x", "\x00", ["x"], "9999-12-31T23:59:59-23:59"]
)
async def test_an_odd_moment_is_no_moment(chat: ChatService, since: Any) -> None:
    """Say that the changes are not complete, and go on."""
    ada, _, _, topic = await pair(chat)
    hers = await ada.open()
    await hers.join(topic, {"changes_since": since})

    assert (await hers.receive())[4]["complete"] is False
    assert (await hers.ask(topic, "ping", {}))["status"] == "ok"


async def test_two_edits_and_a_deletion_at_once_end_in_one_order(chat: ChatService) -> None:
    """Tell what is stored last, last, to everybody; nothing brings a tombstone back to life."""
    ada, bob, room, topic = await pair(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    for number in range(5):
        said = await hers.shout(topic, "a")
        await his.heard(topic)
        path = f"/channels/{room['id']}/messages/{said['id']}"
        results = await asyncio.gather(
            ada.call("PATCH", path, {"message": f"b{number}"}),
            ada.call("DELETE", path),
            ada.call("PATCH", path, {"message": f"c{number}"}),
        )
        count = sum(status == 200 for status, _ in results)
        assert {status for status, _ in results} <= {200, 409}
        seen = [[(await socket.receive())[3:] for _ in range(count)] for socket in (hers, his)]
        assert seen[0] == seen[1]
        assert seen[0][-1][0] == "delete"
        page = (await bob.get(f"/channels/{room['id']}/events"))["data"]["messages"]
        assert (page[0]["body"], page[0]["deleted"]) == ("", True)


async def test_a_stamp_and_a_deletion_at_once_leave_no_stamp(chat: ChatService) -> None:
    """Let whichever is second see the first."""
    ada, bob, room, topic = await pair(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    for _ in range(10):
        await hers.push(topic, "shout", {"message": "a"})
        while (frame := await hers.receive())[3] != "shout" or frame[4]["type"] != "message":
            pass
        said = frame[4]["data"]
        await asyncio.gather(
            *(his.push(topic, "stamp", {**STAMP, "messageId": said["id"]}) for _ in range(3)),
            ada.call("DELETE", f"/channels/{room['id']}/messages/{said['id']}"),
        )
        # The events of a channel are carried out in order, so the answer to the last says that all are.
        ref = await his.push(topic, "read", {"message_id": said["id"]})
        while (await his.receive())[1] != ref:
            pass
        ref = await hers.push(topic, "read", {"message_id": said["id"]})
        while (await hers.receive())[1] != ref:
            pass
    connection = await asyncpg.connect(chat.database.url.reveal())
    assert await connection.fetchval("SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL") == 10
    assert await connection.fetchval("SELECT count(*) FROM stamps") == 0
    await connection.close()


async def test_who_is_too_late_or_too_fast_is_told_so(
    settings: ChatSettings, run_service: Any, client: aiohttp.ClientSession, chat: ChatService
) -> None:
    """Keep to the settings' time and pace."""
    ada, _, room, topic = await pair(chat)
    said = await (await ada.enter(room)).shout(topic, "a")
    connection = await asyncpg.connect(chat.database.url.reveal())
    await connection.execute("UPDATE messages SET inserted_at = inserted_at - interval '1 hour'")
    await connection.close()
    limits = FeatureLimits(edit_seconds=60, edits_per_minute=3)
    strict = await run_service(open_apps(replace(settings, feature_limits=limits)))
    her = Person(strict.public, ada.identity, ada.token, client, ada.sockets)
    path = f"/channels/{room['id']}/messages/{said['id']}"

    answers = [await her.call("PATCH", path, {"message": str(number)}) for number in range(4)]

    assert [answer["error"]["code"] for _, answer in answers] == ["too_late"] * 3 + ["too_many_requests"]
    assert answers[3][0] == 429
