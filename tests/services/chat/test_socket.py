"""Play the websocket's rows with real sockets on a real Postgres."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest

from services.tokens import Signer
from tests.services.chat.conftest import ChatService, Person, mint


async def two_in_a_room(chat: ChatService) -> tuple[Person, Person, dict[str, Any], str]:
    """Return two people, the room of both, and its topic."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})
    return ada, bob, room, f"room:{room['topic']}"


async def test_a_shout_reaches_everybody_joined(chat: ChatService) -> None:
    """Store it, tell it to all, the sender included, and show it in the history."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)

    sent = await hers.shout(topic, "hi ☕")

    assert await his.heard(topic) == sent
    assert sent.keys() == {"id", "inserted_at", "channel_id", "member_id", "type", "body", "stamps"}
    assert (sent["type"], sent["body"], sent["channel_id"], sent["stamps"]) == ("chat", "hi ☕", room["id"], [])
    assert (await bob.get(f"/channels/{room['id']}/events"))["data"]["messages"][0] == sent
    await hers.silent(topic)


async def test_a_stamp_reaches_everybody_joined(chat: ChatService) -> None:
    """Store it on its message, tell it, and show it in the history."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    message = await hers.shout(topic, "hi")
    await his.heard(topic)

    await his.push(topic, "stamp", {"word": "hi", "xPos": 3, "yPos": -0.5, "strength": 1, "messageId": message["id"]})
    stamp = await hers.heard(topic, "stamp")

    assert await his.heard(topic, "stamp") == stamp
    assert stamp.keys() == {"id", "inserted_at", "member_id", "message_id", "word", "x_pos", "y_pos", "strength"}
    assert (stamp["word"], stamp["x_pos"], stamp["y_pos"], stamp["message_id"]) == ("hi", 3, -0.5, message["id"])
    page = (await ada.get(f"/channels/{room['id']}/events"))["data"]
    assert page["messages"][0]["stamps"] == [stamp]
    assert (await ada.get("/channels"))["data"][0]["last_message"]["stamps"] == [stamp]


async def test_a_stamp_that_is_sent_again_is_stored_and_told_once(chat: ChatService) -> None:
    """Answer the second time with the one that there is; the same id of somebody else is another stamp."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    message = await hers.shout(topic, "hi")
    await his.heard(topic)
    stamp = {"word": "hi", "xPos": 0.5, "yPos": 0.5, "strength": 1, "messageId": message["id"], "id": "mine"}

    await his.push(topic, "stamp", stamp)
    first = await his.heard(topic, "stamp")
    again = await his.ask(topic, "stamp", stamp)
    await hers.push(topic, "stamp", stamp)

    assert first["client_id"] == "mine"
    assert again == {"status": "ok", "response": {"data": first}}
    assert await hers.heard(topic, "stamp") == first
    assert (await hers.heard(topic, "stamp"))["member_id"] != first["member_id"]
    page = (await ada.get(f"/channels/{room['id']}/events"))["data"]
    assert [each["client_id"] for each in page["messages"][0]["stamps"]] == ["mine", "mine"]


async def test_strength_is_written_as_a_float(chat: ChatService) -> None:
    """Write 1.0, since the app's language tells it from 1."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.enter(room)
    message = await hers.shout(topic, "hi")
    await hers.push(topic, "stamp", {"word": "hi", "xPos": 3, "yPos": 1, "strength": 1, "messageId": message["id"]})

    frame = await hers.socket.receive_str()

    assert '"strength":1.0' in frame


@pytest.mark.parametrize("vsn", ["1.0.0", ""])
async def test_the_first_serializer_is_spoken(chat: ChatService, vsn: str) -> None:
    """Speak objects to a client that asks for 1.0.0 or names no version, beside one that speaks arrays."""
    ada, bob, room, topic = await two_in_a_room(chat)
    url = f"{chat.public}/socket/websocket?token={bob.token}" + (f"&vsn={vsn}" if vsn else "")
    hers = await ada.enter(room)
    async with bob.client.ws_connect(url) as socket:
        await socket.send_json({"topic": topic, "event": "phx_join", "payload": {}, "ref": "1"})
        reply = await socket.receive_json()
        sent = await hers.shout(topic, "hi")
        told = await socket.receive_json()

    ok = {"status": "ok", "response": {}}
    assert reply == {"topic": topic, "event": "phx_reply", "payload": ok, "ref": "1"}
    assert told == {"topic": topic, "event": "shout", "payload": {"type": "message", "data": sent}, "ref": None}


async def test_heartbeat_and_ping_are_answered(chat: ChatService) -> None:
    """Answer with the message's own refs, and a ping with its own payload."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.enter(room)

    await hers.silent(topic)

    payload = {"a": [1, 2.5, None, "é"], "b": {}}
    assert await hers.ask(topic, "ping", payload) == {"status": "ok", "response": payload}


async def test_binary_frames_are_answered_in_kind(chat: ChatService) -> None:
    """Echo a binary ping as a binary reply, and take a binary shout that holds JSON."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.enter(room)

    def push(ref: str, event: str, payload: bytes) -> bytes:
        names = [part.encode() for part in ("11", ref, topic, event)]
        return bytes([0, *map(len, names)]) + b"".join(names) + payload

    await hers.socket.send_bytes(push("7", "ping", b"\x00\xff"))
    reply = await hers.socket.receive_bytes()
    await hers.socket.send_bytes(push("8", "shout", b'{"message": "hi"}'))
    told = await hers.heard(topic)
    await hers.socket.send_bytes(push("9", "shout", b"\xff"))

    names = [part.encode() for part in ("11", "7", topic, "ok")]
    assert reply == bytes([1, *map(len, names)]) + b"".join(names) + b"\x00\xff"
    assert told["body"] == "hi"
    refused = {"status": "error", "response": {"reason": "the payload must be an object"}}
    assert await hers.receive() == ["11", "9", topic, "phx_reply", refused]


async def test_a_join_needs_a_participant_and_fails_alone(chat: ChatService) -> None:
    """Refuse strangers, unknown rooms and other topics, and keep the socket and its other room."""
    ada, eve = await chat.meet("Ada"), await chat.meet("Eve")
    room, own = await ada.make_room(), await eve.make_room("Mine")
    hers = await eve.enter(own)

    for topic, reason in [
        (f"room:{room['topic']}", "unauthorized"),
        ("room:no_such_room_12345678", "unauthorized"),
        ("room:", "unauthorized"),
        ("room:a\x00b", "unauthorized"),
        ("lobby", "unmatched topic"),
    ]:
        join_ref, ref = await hers.start_join(topic)
        expected = {"status": "error", "response": {"reason": reason}}
        frame = await hers.receive()
        assert frame[1:] == [ref, topic, "phx_reply", expected]
        assert frame[0] == (None if topic == "lobby" else join_ref)
        hers.join_refs.pop(topic)
        unmatched = await hers.ask(topic, "shout", {"message": "hi"})
        assert unmatched["response"] == {"reason": "unmatched topic"}

    assert (await hers.shout(f"room:{own['topic']}", "still here"))["body"] == "still here"


async def test_leaving_by_phoenix_ends_the_channel_only(chat: ChatService) -> None:
    """Reply, close, hear nothing more; the person is still a participant."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)

    ref = await his.push(topic, "phx_leave", {})

    assert await his.receive() == ["11", ref, topic, "phx_reply", {"status": "ok", "response": {}}]
    assert await his.receive() == ["11", "11", topic, "phx_close", {}]
    await hers.shout(topic, "hi")
    await his.silent(topic)
    assert await his.join(topic) == {}


async def test_a_second_join_closes_the_first(chat: ChatService) -> None:
    """Close with the old join_ref, tell each broadcast once, and drop what carries the old one."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.enter(room)

    join_ref, ref = await hers.start_join(topic)

    assert await hers.receive() == ["11", "11", topic, "phx_close", {}]
    assert await hers.receive() == [join_ref, ref, topic, "phx_reply", {"status": "ok", "response": {}}]
    await hers.push(topic, "shout", {"message": "stale"}, join_ref="11")
    await hers.push(topic, "phx_leave", {}, join_ref="11")
    await hers.push(topic, "shout", {"message": "no ref"}, join_ref=None)
    assert (await hers.heard(topic))["body"] == "no ref"
    await hers.silent(topic)


async def test_one_socket_joins_many_topics(chat: ChatService) -> None:
    """Hear each room under its own topic."""
    ada = await chat.meet("Ada")
    rooms = [await ada.make_room(name) for name in ("one", "two")]
    topics = [f"room:{room['topic']}" for room in rooms]
    hers = await ada.open()
    for topic in topics:
        await hers.join(topic)

    bodies = [(await hers.shout(topic, topic))["body"] for topic in topics]

    assert bodies == topics


async def test_joining_and_leaving_are_told_and_cut_live_sockets(chat: ChatService) -> None:
    """Tell the room who comes and goes; who goes hears nothing from then on, on any socket."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his, his_other = await ada.enter(room), await bob.enter(room), await bob.enter(room)

    await bob.post("/channels/leave", {"channel_id": room["id"]})

    left = await hers.heard(topic)
    assert left["type"] == "chat_info"
    assert "Bob" in left["body"]
    for socket in (his, his_other):
        assert await socket.receive() == ["11", "11", topic, "phx_close", {}]
    await hers.shout(topic, "secret")
    await his.silent(topic)
    unmatched = await his.ask(topic, "shout", {"message": "let me"})
    assert unmatched["response"] == {"reason": "unmatched topic"}
    await bob.post("/channels/join", {"topic": room["topic"]})
    assert "Bob" in (await hers.heard(topic))["body"]


BAD_EVENTS: list[tuple[str, Any, str]] = [
    ("shout", {}, "message must be a string"),
    ("shout", {"message": None}, "message must be a string"),
    ("shout", {"message": 7}, "message must be a string"),
    ("shout", {"message": ""}, "message must have 1 to 10000 characters"),
    ("shout", {"message": "x" * 10_001}, "message must have 1 to 10000 characters"),
    ("shout", {"message": "a\x00b"}, "message must not hold a NUL character"),
    ("shout", {"message": "a", "id": 7}, "id must be a string"),
    ("shout", {"message": "a", "id": "x" * 65}, "id must have 1 to 64 characters"),
    ("shout", [], "the payload must be an object"),
    ("shout", None, "the payload must be an object"),
    ("stamp", {}, "messageId must be a positive integer"),
    ("stamp", {"messageId": 10**30}, "messageId must be a positive integer"),
    ("stamp", {"messageId": 1.5}, "messageId must be a positive integer"),
    ("stamp", {"word": 7}, "word must be a string"),
    ("stamp", {"word": "x" * 256}, "word must have 1 to 255 characters"),
    ("stamp", {"xPos": "1"}, "xPos must be a number"),
    ("stamp", {"xPos": 10**400}, "xPos must be a number"),
    ("stamp", {"yPos": True}, "yPos must be a number"),
    ("stamp", {"strength": 1.01}, "strength must be between 0 and 1"),
    ("stamp", {"strength": -0.01}, "strength must be between 0 and 1"),
    ("stamp", {"messageId": 1}, "messageId names no message of this room"),
    ("dance", {}, "unknown event"),
]


@pytest.mark.parametrize(("event", "payload", "reason"), BAD_EVENTS)
async def test_a_bad_event_gets_an_error_reply_that_says_what(
    chat: ChatService, event: str, payload: Any, reason: str
) -> None:
    """Store and tell nothing, and keep everybody's socket."""
    eve = await chat.meet("Eve")
    await eve.make_room("Its first message has id 1")
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    message = await hers.shout(topic, "hi")
    await his.heard(topic)
    if event == "stamp" and payload:
        payload = {"word": "a", "xPos": 1, "yPos": 1, "strength": 0, "messageId": message["id"], **payload}

    reply = await hers.ask(topic, event, payload)

    assert reply == {"status": "error", "response": {"reason": reason}}
    await his.silent(topic)
    assert (await hers.shout(topic, "still here"))["id"] == message["id"] + 1


@pytest.mark.parametrize("frame", ["", "{}", "[1,2]", "null", '["1","1",7,"ping",{}]', "[" * 30_000])
async def test_garbage_closes_its_own_socket_only(chat: ChatService, frame: str) -> None:
    """Close with 1007, and leave the other member's socket alone."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)

    await his.socket.send_str(frame)

    assert await his.closed() == 1007
    assert (await hers.shout(topic, "hi"))["body"] == "hi"


async def test_a_frame_over_the_cap_closes_its_own_socket_only(chat: ChatService) -> None:
    """Close with 1009."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)

    await his.push(topic, "ping", {"a": "x" * 70_000})

    assert await his.closed() == 1009
    assert (await hers.shout(topic, "hi"))["body"] == "hi"


async def test_a_client_id_stores_and_tells_once(chat: ChatService) -> None:
    """Take the same id again, at once or after a reconnect, and from another member."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    for text in ("first", "second"):
        await hers.push(topic, "shout", {"message": text, "id": "a1"})
    await (await ada.enter(room)).push(topic, "shout", {"message": "third", "id": "a1"})
    first = await his.heard(topic)
    await his.push(topic, "shout", {"message": "mine", "id": "a1"})
    mine = await his.heard(topic)

    assert (first["body"], first["client_id"], mine["body"]) == ("first", "a1", "mine")
    bodies = [m["body"] for m in (await ada.get(f"/channels/{room['id']}/events"))["data"]["messages"]]
    assert bodies[:2] == ["mine", "first"]


async def test_a_join_replays_what_was_missed(chat: ChatService) -> None:
    """Give what came after the last message that the client has, in order, and say that it is whole."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.enter(room)
    sent = [await hers.shout(topic, str(number)) for number in range(3)]
    again = await ada.open()

    response = await again.join(topic, {"last_message_id": sent[0]["id"]})

    assert response == {"messages": sent[1:], "recovered": True}
    newest = await (await ada.open()).join(topic, {"last_message_id": sent[-1]["id"]})
    assert newest == {"messages": [], "recovered": True}


@pytest.mark.parametrize("carrier", ["query", "subprotocol", "both"])
async def test_a_token_comes_in_the_query_or_as_a_subprotocol(chat: ChatService, carrier: str) -> None:
    """Accept both, and answer with phoenix alone."""
    ada = await chat.meet("Ada")
    encoded = base64.b64encode(ada.token.encode()).decode().rstrip("=")
    protocols = () if carrier == "query" else ("phoenix", f"base64url.bearer.phx.{encoded}")
    query = "" if carrier == "subprotocol" else f"&token={ada.token}"
    url = f"{chat.public}/socket/websocket?vsn=2.0.0{query}"

    async with ada.client.ws_connect(url, protocols=protocols) as socket:
        assert socket.protocol == ("phoenix" if protocols else None)
        await socket.send_json([None, "1", "phoenix", "heartbeat", {}])
        assert (await socket.receive_json())[1] == "1"


async def refused(person: Person, url: str, **options: Any) -> int:
    """Return the status with which an upgrade is refused."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await person.client.ws_connect(url, **options)
    return error.value.status


async def test_a_refused_token_answers_403(chat: ChatService, signer: Signer) -> None:
    """Refuse at the upgrade: no token, no good one, an expired one."""
    ada = await chat.meet("Ada")
    base = f"{chat.public}/socket/websocket?vsn=2.0.0"
    expired = mint(signer, ada.identity, "Ada", expires_in=-60)

    for url in (base, f"{base}&token=", f"{base}&token=x.y.z", f"{base}&token={expired}"):
        assert await refused(ada, url) == 403
    for protocol in ("base64url.bearer.phx.!!!", "base64url.bearer.phx.eHg", "base64url.bearer.phx."):
        assert await refused(ada, base, protocols=("phoenix", protocol)) == 403


async def test_a_handshake_that_is_none_answers_400(chat: ChatService) -> None:
    """Refuse another version, another subprotocol, and a plain GET."""
    ada = await chat.meet("Ada")
    base = f"{chat.public}/socket/websocket?token={ada.token}"

    assert await refused(ada, f"{base}&vsn=3.0.0") == 400
    assert await refused(ada, f"{base}&vsn=2.0.0", protocols=("mqtt",)) == 400
    assert (await ada.call("GET", "/socket/websocket"))[0] == 400


async def test_only_listed_web_pages_are_welcome(chat: ChatService) -> None:
    """Refuse an Origin that is not on the list; an app sends none."""
    ada = await chat.meet("Ada")
    url = f"{chat.public}/socket/websocket?token={ada.token}&vsn=2.0.0"

    assert await refused(ada, url, headers={"Origin": "https://evil.example.org"}) == 403
    assert await refused(ada, url, headers={"Origin": "null"}) == 403
    async with ada.client.ws_connect(url, headers={"Origin": "https://Chat.example.org"}) as socket:
        assert not socket.closed


async def test_a_room_hears_everything_in_one_order(chat: ChatService) -> None:
    """Tell every member the same messages in the order of their ids, whoever shouts how fast."""
    ada, bob, room, topic = await two_in_a_room(chat)
    sockets = [await person.enter(room) for person in (ada, bob, ada, bob)]
    each = 50
    for number in range(each):
        for index, socket in enumerate(sockets):
            await socket.push(topic, "shout", {"message": f"{index}:{number}"})

    heard = [[await socket.heard(topic) for _ in range(each * len(sockets))] for socket in sockets]

    ids = [message["id"] for message in heard[0]]
    assert ids == sorted(ids)
    assert all(other == heard[0] for other in heard)
    for index in range(len(sockets)):
        mine = [m["body"] for m in heard[0] if m["body"].startswith(f"{index}:")]
        assert mine == [f"{index}:{number}" for number in range(each)]


async def test_a_push_reaches_the_other_participants(chat: ChatService, notifications: Any) -> None:
    """Name the room and the sender, and leave out who left."""
    ada, bob, room, topic = await two_in_a_room(chat)
    gone = await chat.meet("Gone")
    await gone.post("/channels/join", {"topic": room["topic"]})
    await gone.post("/channels/leave", {"channel_id": room["id"]})
    hers = await ada.enter(room)

    said = await hers.shout(topic, "hi")

    await asyncio.wait_for(notifications.arrived.get(), 60)
    assert notifications.calls == [
        {
            "identities": [bob.identity],
            "notification": {"title": "Road trip", "body": "Ada: hi"},
            "data": {
                "click_action": "FLUTTER_NOTIFICATION_CLICK",
                "channel_id": str(room["id"]),
                "message_id": str(said["id"]),
                "topic": room["topic"],
            },
            "badges": {},
            "key": f"message:{said['id']}",
            "collapse_key": f"room:{room['id']}",
            "rank": said["id"],
        }
    ]
    assert notifications.credentials == [f"Bearer {chat.settings.credential.reveal()}"]


async def test_frames_sent_before_the_join_is_answered_wait_for_it(chat: ChatService) -> None:
    """Carry out what a client sends right behind its join, in order."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.open()

    await hers.start_join(topic)
    await hers.push(topic, "ping", {"n": 1})
    await hers.push(topic, "shout", {"message": "early"})

    assert (await hers.receive())[4] == {"status": "ok", "response": {}}
    assert (await hers.receive())[4] == {"status": "ok", "response": {"n": 1}}
    assert (await hers.heard(topic))["body"] == "early"


async def test_the_log_holds_no_token(chat: ChatService, caplog: pytest.LogCaptureFixture) -> None:
    """Write the path of a socket's request, never its query."""
    caplog.set_level("DEBUG")
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    await ada.enter(room)
    await refused(ada, f"{chat.public}/socket/websocket?token={ada.token}&vsn=3.0.0")

    lines = [json.dumps([record.getMessage(), str(record.__dict__)]) for record in caplog.records]

    assert not [line for line in lines if ada.token in line]
