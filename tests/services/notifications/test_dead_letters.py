from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.notifications import dead_letters as subject
from services.notifications.__main__ import SERVICE
from services.notifications.app import open_apps
from services.notifications.settings import NotificationsSettings
from services.serve import main
from services.settings import Secret
from tests.services.conftest import Running, RunService
from tests.services.notifications.conftest import Rows, until
from tests.services.notifications.fcm_stand_in import FcmStandIn

TOKEN = "a-long-token-of-a-device-"


@pytest.fixture
async def dead(rows: Rows) -> Rows:
    """Give up what five devices were to be told."""
    await rows.connection.execute(
        """
        INSERT INTO tokens (identity, fcm_token) SELECT 'ada', $1 || n FROM generate_series(1, 5) n
        """,
        TOKEN,
    )
    await rows.connection.execute(
        """
        INSERT INTO deliveries
          (key, identity, fcm_token, collapse_key, payload, state, attempts, inserted_at, expires_at, done_at, reason)
        SELECT 'message:' || n, 'ada', $1 || n, 'room:1', '{"title":"Room","body":"secret words"}', 'dead', 9,
          now() - interval '2 days', now() - interval '1 day', now(), 'HTTP 404'
        FROM generate_series(1, 5) n
        """,
        TOKEN,
    )
    return rows


class Operator:
    """Call the internal port as whoever operates us."""

    def __init__(self, running: Running, client: aiohttp.ClientSession, credential: Secret) -> None:
        self._url = running.internal
        self._client = client
        self._headers = {"Authorization": f"Bearer {credential.reveal()}"}

    async def list(self, query: str = "") -> tuple[int, Any]:
        """Ask for a page."""
        async with self._client.get(f"{self._url}/internal/dead-letters{query}", headers=self._headers) as response:
            return response.status, await response.json()

    async def retry(self, body: object) -> tuple[int, Any]:
        """Send some again."""
        url = f"{self._url}/internal/dead-letters/retry"
        async with self._client.post(url, json=body, headers=self._headers) as response:
            return response.status, await response.json()


@pytest.fixture
async def operator(
    dead: Rows,
    push_settings: NotificationsSettings,
    run_service: RunService,
    client: aiohttp.ClientSession,
    credential: Secret,
) -> Operator:
    """Run the service on what was given up."""
    del dead
    return Operator(await run_service(open_apps(push_settings)), client, credential)


async def test_they_are_listed_in_pages_without_tokens_or_texts(operator: Operator) -> None:
    """By key, oldest first."""
    status, first = await operator.list("?limit=3")
    _, second = await operator.list(f"?limit=3&after={first['next']}")

    assert status == 200
    assert [row["key"] for row in first["dead_letters"]] == ["message:1", "message:2", "message:3"]
    assert [row["key"] for row in second["dead_letters"]] == ["message:4", "message:5"]
    assert second["next"] is None
    assert {(row["reason"], row["attempts"], row["device"]) for row in first["dead_letters"]} == {
        ("HTTP 404", 9, f"vice-{n}") for n in (1, 2, 3)
    }
    assert TOKEN not in str(first)
    assert "secret" not in str(first)


async def test_some_or_all_are_sent_again(operator: Operator, dead: Rows, fcm: FcmStandIn) -> None:
    """Each once, with as long to live as it had at first; those that are none are passed over."""
    _, page = await operator.list()
    ids = [row["id"] for row in page["dead_letters"]]
    assert await operator.retry({"ids": [ids[0], ids[2], 999_999]}) == (200, {"retried": 2})
    assert await operator.retry({"ids": [ids[0]]}) == (200, {"retried": 0})
    assert await operator.retry({"ids": []}) == (200, {"retried": 0})
    await until(lambda: has(fcm, 2))

    assert await operator.retry({"all": True}) == (200, {"retried": 3})
    await until(lambda: has(fcm, 5))
    assert fcm.got == {f"{TOKEN}{n}": 1 for n in range(1, 6)}
    assert fcm.messages[0]["notification"]["body"] == "secret words"
    assert {message["android"]["ttl"] for message in fcm.messages} <= {"86399s", "86400s"}

    async def are_sent() -> bool:
        return {state for states in (await dead.states()).values() for state in states} == {"sent"}

    await until(are_sent)
    assert (await operator.list())[1] == {"dead_letters": [], "next": None}


async def has(fcm: FcmStandIn, count: int) -> bool:
    """Say whether so many have arrived."""
    return fcm.got.total() == count


async def test_all_of_many_go_in_pieces(
    operator: Operator, dead: Rows, fcm: FcmStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of which holds its locks for long."""
    del dead
    monkeypatch.setattr(subject, "RETRY_ROWS", 2)

    assert await operator.retry({"all": True}) == (200, {"retried": 5})
    await until(lambda: has(fcm, 5))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"all": False},
        {"all": True, "ids": [1]},
        {"ids": "1"},
        {"ids": [0]},
        {"ids": [1 << 63]},
        {"ids": [1] * 1001},
    ],
    ids=lambda body: str(body)[:30],
)
async def test_a_retry_of_the_wrong_shape_is_refused(operator: Operator, body: dict[str, Any]) -> None:
    """Nothing is sent."""
    status, answer = await operator.retry(body)
    assert (status, answer["error"]["code"]) == (422, "invalid")


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?limit=0", "?limit=501", "?after=9223372036854775808"])
async def test_a_bad_page_is_refused(operator: Operator, query: str) -> None:
    """The answer says which parameter."""
    status, answer = await operator.list(query)
    assert (status, answer["error"]["code"]) == (422, "invalid")


@pytest.fixture
def environ(tmp_path: Path, settings: NotificationsSettings) -> dict[str, str]:
    """Mount what a command in the pod needs."""
    (tmp_path / "database_url").write_text(settings.database.url.reveal())
    return {"STAMPCHAT_DATABASE_URL_FILE": str(tmp_path / "database_url")}


async def run(environ: dict[str, str], *arguments: str) -> int:
    """Run the service's command as a person does in a pod; it has a loop of its own."""
    return await asyncio.to_thread(subject_command, environ, arguments)


def subject_command(environ: dict[str, str], arguments: Sequence[str]) -> int:
    """Run it in this thread."""
    from services.settings import Source

    return SERVICE.commands["dead-letters"](Source(environ), arguments)


async def test_the_command_lists_and_retries(
    dead: Rows, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One JSON object a line, and never a whole token."""
    assert await run(environ, "list") == 0
    listed = capsys.readouterr().out
    assert listed.count("\n") == 5
    assert TOKEN not in listed

    first = await dead.connection.fetchval("SELECT min(id) FROM deliveries")
    assert await run(environ, "retry", str(first)) == 0
    assert capsys.readouterr().out == "1 to be sent again\n"
    assert await run(environ, "retry", "--all") == 0
    assert capsys.readouterr().out == "4 to be sent again\n"
    assert {state for states in (await dead.states()).values() for state in states} == {"waiting"}


@pytest.mark.parametrize("arguments", [[], ["lst"], ["retry"], ["retry", "x"], ["retry", "--all", "7"], ["list", "-1"]])
def test_a_misused_command_says_how(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Exit 2, as the other commands."""
    assert main(SERVICE, ["dead-letters", *arguments], environ) == 2
    assert capsys.readouterr().err == subject.USAGE


def test_a_database_that_is_away_is_said(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, in one sentence."""
    Path(environ["STAMPCHAT_DATABASE_URL_FILE"]).write_text("postgresql://nobody@127.0.0.1:9/none")
    assert main(SERVICE, ["dead-letters", "list"], environ) == 1
    assert capsys.readouterr().err == "services.notifications: The database does not answer; try again soon.\n"
