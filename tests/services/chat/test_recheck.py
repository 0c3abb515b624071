"""Keep sockets alive as long as their people are: past a token's hour, to the end of the login, to a deletion."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from services.chat.limits import Limits
from services.chat.recheck import find_known
from services.database import open_database
from services.tokens import Signer
from tests.services.chat.conftest import ChatService, Person, mint
from tests.services.chat.phoenix import Phoenix

DAY = 24 * 3600


@pytest.fixture
def limits() -> Limits:
    """Look again every second."""
    return Limits(recheck_seconds=1)


def token(signer: Signer, identity: str, *, auth_time: float, expires_in: int = 3600) -> str:
    """Mint a token of a login at some time."""
    now = int(time.time())
    user = {"id": 7, "identity": identity, "name": "Ada", "email": None, "picture": None}
    return signer.mint(user, auth_time=int(auth_time), expires=now + expires_in)


async def open_with(person: Person, shown: str) -> Phoenix:
    """Open a socket with another token than the person's."""
    url = f"{person.base}/socket/websocket?token={shown}&vsn=2.0.0"
    return Phoenix(await person.sockets.enter_async_context(person.client.ws_connect(url)))


async def looked(chat: ChatService, times: int = 2) -> None:
    """Wait until the accounts have been looked at so often; the socket of a person who is gone says so."""
    for number in range(times):
        ghost = await chat.meet(f"Ghost {number}", known=False)
        assert await (await ghost.open()).closed() == 1008


async def test_a_socket_outlives_its_token(chat: ChatService, signer: Signer) -> None:
    """Let the published app go on, which renews its token by REST and never tells its socket."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    # Within the 30 s of leeway it is let in, and over for everybody else already.
    expired = token(signer, ada.identity, auth_time=time.time() - 3600, expires_in=-5)
    hers = await open_with(ada, expired)
    topic = f"room:{room['topic']}"
    await hers.join(topic)

    await looked(chat)

    assert (await hers.shout(topic, "still here"))["body"] == "still here"


async def test_the_end_of_a_login_closes_its_sockets(chat: ChatService, signer: Signer) -> None:
    """Close with 1008 after 30 days; another login of the same person goes on."""
    ada = await chat.meet("Ada")
    ends = token(signer, ada.identity, auth_time=time.time() - 30 * DAY)
    old, new = await open_with(ada, ends), await ada.open()

    assert await old.closed() == 1008
    await new.silent("")


async def test_a_deleted_person_is_closed_everywhere(chat: ChatService) -> None:
    """Close every socket of who is gone with 1008, and no other."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    hers = [await ada.open(), await ada.open()]
    his = await bob.open()
    connection = await asyncpg.connect(chat.database.url.reveal())
    await connection.execute("UPDATE users SET deleted_at = now() WHERE identity = $1", ada.identity)
    await connection.close()

    assert [await socket.closed() for socket in hers] == [1008, 1008]
    await his.silent("")


async def test_accounts_are_looked_up_many_at_a_time(chat: ChatService) -> None:
    """Find each of more people than one statement asks for."""
    connection = await asyncpg.connect(chat.database.url.reveal())
    await connection.execute(
        "INSERT INTO users (identity, inserted_at, updated_at)"
        " SELECT 'u' || n, now(), now() FROM generate_series(1, 2500) n"
    )
    await connection.close()
    everybody = {f"u{number}" for number in range(1, 2501)}

    async with open_database(chat.database) as database:
        assert await find_known(database, [*everybody, "nobody"]) == everybody


@pytest.mark.parametrize("topic", ["phoenix", "room"])
async def test_a_newer_token_keeps_a_socket(
    chat: ChatService, signer: Signer, monkeypatch: pytest.MonkeyPatch, topic: str
) -> None:
    """Take it on a joined channel, as Supabase's clients send it, or for the connection."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = topic if topic == "phoenix" else f"room:{room['topic']}"
    # This login ends in an hour.
    hers = await open_with(ada, token(signer, ada.identity, auth_time=time.time() - 30 * DAY + 3600))
    await hers.join(f"room:{room['topic']}")

    renewed = await hers.ask(topic, "access_token", {"access_token": ada.token})

    assert renewed == {"status": "ok", "response": {}}
    later = SimpleNamespace(time=lambda: time.time() + 7200, monotonic=time.monotonic)
    monkeypatch.setattr("services.chat.socket.time", later)
    await looked(chat)
    await hers.silent(topic)


@pytest.mark.parametrize("topic", ["phoenix", "room"])
@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "access_token must be a string"),
        ({"access_token": None}, "access_token must be a string"),
        ([], "the payload must be an object"),
        ({"access_token": "x.y.z"}, "The token is not valid."),
        ({"access_token": "expired"}, "The token has expired."),
        ({"access_token": "bob"}, "access_token speaks for somebody else"),
    ],
)
async def test_a_bad_newer_token_is_refused(
    chat: ChatService,
    signer: Signer,
    caplog: pytest.LogCaptureFixture,
    *,
    topic: str,
    payload: Any,
    reason: str,
) -> None:
    """Say why, keep the socket, and log no token."""
    caplog.set_level("DEBUG")
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = topic if topic == "phoenix" else f"room:{room['topic']}"
    hers = await ada.enter(room)
    made = {"expired": mint(signer, ada.identity, "Ada", expires_in=-60), "bob": mint(signer, "bob_3", "Bob")}
    if isinstance(payload, dict) and payload.get("access_token") in made:
        payload = {"access_token": made[payload["access_token"]]}

    refused = await hers.ask(topic, "access_token", payload)

    assert refused == {"status": "error", "response": {"reason": reason}}
    assert (await hers.shout(f"room:{room['topic']}", "still here"))["body"] == "still here"
    assert not [token for token in (ada.token, *made.values()) if token in caplog.text]
