from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.chat import deletion
from services.chat.deletion import forget_name
from tests.services.chat.conftest import ChatService, Person

SAID = "SELECT body, deleted_at IS NOT NULL AS deleted FROM messages WHERE type = 'chat' AND member_id = $1 ORDER BY id"


async def delete(chat: ChatService, client: aiohttp.ClientSession, identity: str) -> bool:
    """Ask once."""
    headers = {"Authorization": f"Bearer {chat.settings.credential.reveal()}"}
    async with client.delete(f"{chat.internal}/internal/users/{identity}", headers=headers) as response:
        assert response.status == 200
        return bool((await response.json())["deleted"])


@pytest.fixture
async def connection(chat: ChatService) -> Any:
    """Look into the database."""
    opened = await asyncpg.connect(chat.database.url.reveal())
    yield opened
    await opened.close()


async def talk(connection: Any, member_id: int, channel_id: int, count: int) -> None:
    """Let a member have said very much."""
    await connection.execute(
        """
        INSERT INTO messages (body, member_id, channel_id, type, inserted_at, updated_at)
        SELECT 'word ' || n, $1, $2, 'chat', now(), now() FROM generate_series(1, $3::integer) AS n
        """,
        member_id,
        channel_id,
        count,
    )


async def two_in_a_room(chat: ChatService) -> tuple[Person, Person, dict[str, Any]]:
    """Let Ada and Bob share a room of Bob's."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await bob.make_room()
    await ada.post("/channels/join", {"topic": room["topic"]})
    return ada, bob, room


async def test_a_person_who_said_very_much_takes_several_calls(
    chat: ChatService, client: aiohttp.ClientSession, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets further; until the last one the person is found, so that a call which is cut off is taken up."""
    ada, bob, room = await two_in_a_room(chat)
    rows = await connection.fetch("SELECT m.id FROM members m JOIN users u ON u.id = user_id ORDER BY u.identity")
    hers, his = (row["id"] for row in rows)
    await talk(connection, hers, room["id"], 2 * deletion.BATCH + 5)
    await talk(connection, his, room["id"], 3)
    monkeypatch.setattr(deletion, "_check", _out_of_time)

    calls = 0
    while not await delete(chat, client, ada.identity):
        calls += 1
        left = await connection.fetchval(
            "SELECT count(*) FROM messages WHERE member_id = $1 AND body LIKE 'word%'", hers
        )
        assert left >= 0
        if calls == 2:
            # The room was left in the first call, a batch erased in the second.
            assert left == deletion.BATCH + 5
            monkeypatch.undo()

    assert calls == 2
    assert {tuple(row) for row in await connection.fetch(SAID, hers)} == {("", True)}
    assert {tuple(row) for row in await connection.fetch(SAID, his)} == {(f"word {n}", False) for n in (1, 2, 3)}
    assert (await bob.get("/channels"))["data"][0]["id"] == room["id"]


def _out_of_time(_deadline: float) -> None:
    raise deletion._OutOfTimeError


async def test_asked_again_or_of_a_stranger_it_is_done(chat: ChatService, client: aiohttp.ClientSession) -> None:
    """Whoever asks does not know how far an earlier call came."""
    ada, _, _ = await two_in_a_room(chat)

    assert [await delete(chat, client, ada.identity) for _ in range(2)] == [True, True]
    assert await delete(chat, client, "nobody_%2F%C3%B6%25%20%7B%7D") is True


async def test_two_calls_at_once_delete_once(chat: ChatService, client: aiohttp.ClientSession, connection: Any) -> None:
    """Two processes of auth may both believe that it is theirs to do."""
    ada, bob, room = await two_in_a_room(chat)

    assert all(await asyncio.gather(*(delete(chat, client, ada.identity) for _ in range(5))))

    infos = [message for message in await events(bob, room) if message["type"] == "chat_info"]
    # Bob opened it, Ada came, Ada left.
    assert len(infos) == 3
    assert await connection.fetchval("SELECT count(*) FROM users WHERE deleted_at IS NOT NULL") == 1


async def events(person: Person, room: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the newest page."""
    messages: list[dict[str, Any]] = (await person.get(f"/channels/{room['id']}/events"))["data"]["messages"]
    return messages


async def test_a_name_goes_from_what_was_said_about_its_owner_and_stays_in_the_rest(
    chat: ChatService, client: aiohttp.ClientSession, connection: Any
) -> None:
    """What others wrote is theirs, and another person's coming is another person's."""
    ada, bob, room = await two_in_a_room(chat)
    phoenix = await bob.enter(room)
    await phoenix.shout(f"room:{room['topic']}", "Ada is late")
    await connection.execute("UPDATE chat_info_messages SET body = 'Is that ${name}?'")

    assert await delete(chat, client, ada.identity)

    bodies = [message["body"] for message in await events(bob, room)]
    assert [body for body in bodies if "Ada" in body] == ["Ada is late"]
    assert "Is that Somebody?" in bodies
    member = [m for m in (await bob.get("/channels"))["data"][0]["members"] if m["user"]["identity"] != bob.identity]
    assert [m["user"]["friendly_name"] for m in member] == [None]
    assert member[0]["user"]["identity"] == f"deleted_{member[0]['user']['id']}"


async def test_stamps_and_blocks_go_on_both_sides(
    chat: ChatService, client: aiohttp.ClientSession, connection: Any
) -> None:
    """Hers on his messages, and his on hers, which say nothing any more."""
    ada, bob, room = await two_in_a_room(chat)
    topic = f"room:{room['topic']}"
    hers, his = await ada.enter(room), await bob.enter(room)
    stamp = {"word": "yes", "xPos": 1, "yPos": 2, "strength": 1}
    for one, other in ((hers, his), (his, hers)):
        said = await one.shout(topic, "hi")
        assert await other.heard(topic) == said
        for socket in (one, other):
            await socket.push(topic, "stamp", {**stamp, "messageId": said["id"]})
            await one.heard(topic, "stamp")
            await other.heard(topic, "stamp")
    await connection.execute(
        "INSERT INTO blocks SELECT a.id, b.id, now() FROM users a, users b WHERE a.id <> b.id AND a.identity <> ''"
    )

    assert await delete(chat, client, ada.identity)

    left = await connection.fetch("SELECT s.member_id, g.member_id FROM stamps s JOIN messages g ON g.id = message_id")
    assert [row[0] == row[1] for row in left] == [True]
    assert await connection.fetchval("SELECT count(*) FROM blocks") == 0


async def test_rows_that_repeat_the_identity_lose_their_name_too(
    chat: ChatService, client: aiohttp.ClientSession, connection: Any
) -> None:
    """The original could store a person twice."""
    ada, _, _ = await two_in_a_room(chat)
    await connection.execute(
        """
        INSERT INTO users (identity, friendly_name, duplicate_of, inserted_at, updated_at)
        SELECT identity, 'Ada the Second', id, now(), now() FROM users WHERE identity = $1
        """,
        ada.identity,
    )

    assert await delete(chat, client, ada.identity)

    rows = await connection.fetch("SELECT identity, friendly_name FROM users WHERE deleted_at IS NOT NULL")
    assert [(row["identity"][:8], row["friendly_name"]) for row in rows] == [("deleted_", None)] * 2


async def test_a_join_that_is_under_way_waits_or_is_undone(
    chat: ChatService, client: aiohttp.ClientSession, connection: Any
) -> None:
    """However the two interleave, a deleted person takes part in nothing."""
    ada, bob, room = await two_in_a_room(chat)
    rooms = [await bob.make_room(f"Room {n}") for n in range(10)]

    async def join(topic: str) -> int:
        return (await ada.call("POST", "/channels/join", {"topic": topic}))[0]

    joins = [asyncio.create_task(join(other["topic"])) for other in rooms]
    while not await delete(chat, client, ada.identity):
        pass

    assert set(await asyncio.gather(*joins)) <= {200, 401}
    parts = (
        "SELECT count(*) FROM members JOIN users ON users.id = user_id WHERE is_participant AND deleted_at IS NOT NULL"
    )
    assert await connection.fetchval(parts) == 0
    assert await join(room["topic"]) == 401


async def test_it_asks_for_the_credential(chat: ChatService, client: aiohttp.ClientSession) -> None:
    """Only auth may ask."""
    ada, _, _ = await two_in_a_room(chat)
    for headers in ({}, {"Authorization": f"Bearer {ada.token}"}):
        async with client.delete(f"{chat.internal}/internal/users/{ada.identity}", headers=headers) as response:
            assert response.status == 401


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("Ada came in", "Ada", "Somebody came in"),
        ("Good to see you, Ada", "Ada", "Good to see you, Somebody"),
        ("a pulled up a chair", "a", "Somebody pulled up Somebody chair"),
        ("One chair is empty: Al left", "Al", "One chair is empty: Somebody left"),
        ("Hail (x.*)!", "(x.*)", "Hail Somebody!"),
        ("helloAda", "Ada", "helloSomebody"),
        ("Ada and Adaline", "Ada", "Somebody and Adaline"),
        ("José kam", "José", "Somebody kam"),
    ],
)
def test_forget_name(text: str, name: str, expected: str) -> None:
    """A short name does not eat the letters of other words."""
    assert forget_name(text, name) == expected
