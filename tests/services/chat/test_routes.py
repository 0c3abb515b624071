"""Play the REST calls of the app, each on a real Postgres."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.tokens import Signer
from tests.services.chat.conftest import ChatService, Person, mint

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def assert_moment(text: str) -> None:
    """Hold a moment to the wire's form: UTC, whole seconds, no zone."""
    assert TIMESTAMP.fullmatch(text)
    assert abs((datetime.utcnow() - datetime.fromisoformat(text)).total_seconds()) < 60  # noqa: DTZ003  # the wire's


async def test_the_service_says_that_it_answers(chat: ChatService, client: aiohttp.ClientSession) -> None:
    """Need no token for /test."""
    async with client.get(f"{chat.public}/test") as response:
        assert await response.json() == {"test": "success"}


async def test_a_user_is_made_once(chat: ChatService, client: aiohttp.ClientSession) -> None:
    """Return the same user for the same identity, with the name that came first."""
    headers = {"Authorization": f"Bearer {chat.settings.credential.reveal()}"}
    answers = []
    for name in ("Ada", "Ada L.", None):
        body = {"name": name, "identity": "ada_1"}
        async with client.post(f"{chat.internal}/internal/users", json=body, headers=headers) as response:
            assert response.status == 200
            answers.append(await response.json())

    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["user"].keys() == {"id", "inserted_at", "friendly_name", "identity"}
    assert answers[0]["user"]["friendly_name"] == "Ada"
    assert_moment(answers[0]["user"]["inserted_at"])


@pytest.mark.parametrize("token", ["", "Bearer wrong"])
async def test_the_internal_port_asks_who_calls(chat: ChatService, client: aiohttp.ClientSession, token: str) -> None:
    """Refuse without the credential."""
    headers = {"Authorization": token} if token else {}
    async with client.post(f"{chat.internal}/internal/users", json={}, headers=headers) as response:
        assert response.status == 401


async def test_the_public_port_has_no_internal_route(chat: ChatService) -> None:
    """Answer 404 for what belongs to machines."""
    ada = await chat.meet("Ada")
    for path in ("/internal/users", "/metrics", "/readyz", "/livez", "/openapi.json"):
        assert (await ada.call("GET", path))[0] == 404


async def test_a_room_is_made_and_listed(chat: ChatService) -> None:
    """Show a new room with its one member and the message that says so."""
    ada: Person = await chat.meet("Ada")
    room = await ada.make_room("Road trip")

    assert room.keys() == {"id", "inserted_at", "friendly_name", "topic"}
    assert room["friendly_name"] == "Road trip"
    assert re.fullmatch(r"road_trip_[A-Za-z0-9_-]{8}", room["topic"])
    (listed,) = (await ada.get("/channels"))["data"]
    assert {key: listed[key] for key in room} == room
    (member,) = listed["members"]
    assert member.keys() == {"id", "inserted_at", "user"}
    assert member["user"].keys() == {"id", "inserted_at", "friendly_name", "identity"}
    assert member["user"]["identity"] == ada.identity
    last = listed["last_message"]
    assert last.keys() == {"id", "inserted_at", "channel_id", "member_id", "type", "body", "stamps", "member"}
    assert (last["type"], last["channel_id"], last["member"]) == ("chat_info", room["id"], member)
    assert last["stamps"] == []
    assert "Ada" in last["body"]
    assert "$" not in last["body"]
    assert_moment(last["inserted_at"])


async def test_an_invitation_makes_a_participant_once(chat: ChatService) -> None:
    """Join with the topic; a second join changes and says nothing."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()

    assert await bob.post("/channels/join", {"topic": room["topic"]}) == {"success": True}
    assert await bob.post("/channels/join", {"topic": room["topic"]}) == {"success": True}

    (listed,) = (await bob.get("/channels"))["data"]
    assert [member["user"]["friendly_name"] for member in listed["members"]] == ["Ada", "Bob"]
    messages = (await bob.get(f"/channels/{room['id']}/events"))["data"]["messages"]
    assert [message["type"] for message in messages] == ["chat_info", "chat_info"]
    assert "Bob" in messages[0]["body"]


async def test_who_leaves_sees_the_room_no_more(chat: ChatService) -> None:
    """Take the room from the list and from reach, keep the author of what was said, and let them come back."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})

    assert await bob.post("/channels/leave", {"channel_id": room["id"]}) == {"success": True}
    assert await bob.post("/channels/leave", {"channel_id": room["id"]}) == {"success": True}

    assert (await bob.get("/channels"))["data"] == []
    assert (await bob.call("GET", f"/channels/{room['id']}/events"))[0] == 404
    page = (await ada.get(f"/channels/{room['id']}/events"))["data"]
    assert [member["user"]["friendly_name"] for member in page["members"]] == ["Ada", "Bob"]
    assert len(page["messages"]) == 3
    await bob.post("/channels/join", {"topic": room["topic"]})
    assert len((await bob.get(f"/channels/{room['id']}/events"))["data"]["members"]) == 2


async def test_history_comes_in_pages_of_sixty(chat: ChatService) -> None:
    """Page down, newest first, and say where it ends."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    connection = await asyncpg.connect(chat.database.url.reveal())
    insert = """
    INSERT INTO messages (channel_id, member_id, body, inserted_at, updated_at)
    SELECT $1, (SELECT id FROM members WHERE channel_id = $1), 'm' || n, now(), now() FROM generate_series(1, 119) AS n
    """
    await connection.execute(insert, room["id"])
    await connection.close()

    first = (await ada.get(f"/channels/{room['id']}/events?last_message_id="))["data"]
    second = (await ada.get(f"/channels/{room['id']}/events?last_message_id={first['messages'][-1]['id']}"))["data"]
    beyond = (await ada.get(f"/channels/{room['id']}/events?last_message_id={second['messages'][-1]['id']}"))["data"]

    assert (len(first["messages"]), first["is_last_message"]) == (60, False)
    assert (len(second["messages"]), second["is_last_message"]) == (60, True)
    assert (beyond["messages"], beyond["is_last_message"]) == ([], True)
    ids = [message["id"] for message in first["messages"] + second["messages"]]
    assert ids == sorted(ids, reverse=True)
    assert first["messages"][0].keys() == {"id", "inserted_at", "channel_id", "member_id", "type", "body", "stamps"}
    assert (await ada.get(f"/channels/{room['id']}/events?last_message_id"))["data"] == first


async def test_a_stranger_finds_nothing(chat: ChatService) -> None:
    """Answer the same for a room of others and for none."""
    ada, eve = await chat.meet("Ada"), await chat.meet("Eve")
    room = await ada.make_room()

    answers = [
        await eve.call("GET", f"/channels/{room['id']}/events"),
        await eve.call("GET", "/channels/999999/events"),
        await eve.call("POST", "/channels/leave", {"channel_id": room["id"]}),
        await eve.call("POST", "/channels/join", {"topic": "road_trip_ab12cd34"}),
    ]

    assert {(status, answer["error"]["code"]) for status, answer in answers} == {(404, "not_found")}
    assert (await eve.get("/channels"))["data"] == []


BAD_BODIES: list[tuple[str, Any, int, str]] = [
    ("/channels", {}, 422, "channel_name"),
    ("/channels", {"channel_name": 7}, 422, "channel_name"),
    ("/channels", {"channel_name": None}, 422, "channel_name"),
    ("/channels", {"channel_name": ""}, 422, "channel_name must have 1 to 200 characters"),
    ("/channels", {"channel_name": "x" * 201}, 422, "channel_name must have 1 to 200 characters"),
    ("/channels", {"channel_name": "a\x00b"}, 422, "NUL"),
    ("/channels", [], 422, "body"),
    ("/channels/join", {"topic": "x" * 256}, 422, "topic"),
    ("/channels/join", {"topic": "a\x00b"}, 422, "topic"),
    ("/channels/join", {"topic": ["a"]}, 422, "topic"),
    ("/channels/leave", {"channel_id": "3"}, 422, "channel_id"),
    ("/channels/leave", {"channel_id": True}, 422, "channel_id"),
    ("/channels/leave", {"channel_id": 10**30}, 404, "channel"),
    ("/channels/leave", {"channel_id": -1}, 404, "channel"),
    ("/channels", {"channel_name": "x" * 70_000}, 413, "large"),
]


@pytest.mark.parametrize(("path", "body", "status", "says"), BAD_BODIES)
async def test_a_bad_body_is_refused_and_says_what(
    chat: ChatService, path: str, body: Any, status: int, says: str
) -> None:
    """Name the field, never a stack trace."""
    ada = await chat.meet("Ada")
    got, answer = await ada.call("POST", path, body)

    assert got == status, answer
    assert answer.keys() == {"error"}
    assert says in answer["error"]["message"]


@pytest.mark.parametrize(
    ("raw", "status"), [(b"", 400), (b"{", 400), (b'{"channel_name": "\\ud800"}', 400), (b"\xff", 400)]
)
async def test_what_is_no_json_is_malformed(chat: ChatService, raw: bytes, status: int) -> None:
    """Answer 400 for bytes that are no JSON."""
    ada = await chat.meet("Ada")
    headers = {"Authorization": f"Bearer {ada.token}", "Content-Type": "application/json"}
    async with ada.client.post(f"{chat.public}/channels", data=raw, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/channels/x/events", 404),
        ("/channels/0/events", 404),
        ("/channels/-1/events", 404),
        (f"/channels/{10**25}/events", 404),
        ("/channels/{id}/events?last_message_id=x", 422),
        ("/channels/{id}/events?last_message_id=-1", 422),
        (f"/channels/{{id}}/events?last_message_id={10**25}", 422),
        (f"/channels/{{id}}/events?last_message_id={10**19}", 200),
    ],
)
async def test_odd_ids_are_answered(chat: ChatService, path: str, status: int) -> None:
    """Never hand Postgres a number that it cannot hold."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()

    assert (await ada.call("GET", path.replace("{id}", str(room["id"]))))[0] == status


async def test_every_call_asks_for_a_token(chat: ChatService, signer: Signer) -> None:
    """Answer 401 without a good bearer, and for a person whom the chat does not know."""
    stranger = await chat.meet("Nobody", known=False)
    expired = Person(stranger.base, "x", mint(signer, "x", "x", expires_in=-60), stranger.client, stranger.sockets)
    nothing = Person(stranger.base, "x", "", stranger.client, stranger.sockets)
    for method, path, body in [
        ("GET", "/channels", None),
        ("POST", "/channels", {"channel_name": "a"}),
        ("POST", "/channels/join", {"topic": "a"}),
        ("POST", "/channels/leave", {"channel_id": 1}),
        ("GET", "/channels/1/events", None),
    ]:
        for person in (expired, nothing):
            assert (await person.call(method, path, body))[0] == 401, path

    for call in (("POST", "/channels", {"channel_name": "a"}), ("GET", "/channels", None)):
        status, answer = await stranger.call(*call)
        assert (status, answer["error"]["code"]) == (401, "unknown_user")


async def test_a_person_without_a_name_can_chat(chat: ChatService) -> None:
    """Call them somebody in sentences, and leave the name null."""
    nameless = await chat.meet(None)
    await nameless.make_room()

    (room,) = (await nameless.get("/channels"))["data"]

    assert room["members"][0]["user"]["friendly_name"] is None
    assert "Somebody" in room["last_message"]["body"]


async def test_rooms_are_listed_with_a_fixed_number_of_statements(chat: ChatService) -> None:
    """List the room that was spoken in last first, however many there are."""
    ada = await chat.meet("Ada")
    made = [await ada.make_room(f"room {number}") for number in range(5)]
    phoenix = await ada.enter(made[1])
    await phoenix.shout(f"room:{made[1]['topic']}", "hi")

    rooms = (await ada.get("/channels"))["data"]

    assert [room["id"] for room in rooms] == [made[index]["id"] for index in (1, 4, 3, 2, 0)]
    assert rooms[0]["last_message"]["body"] == "hi"
