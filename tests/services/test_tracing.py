from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from services import tracing
from services.errors import StartError
from tests.services.chat.phoenix import Phoenix
from tests.services.collector import Collector, collecting
from tests.services.conftest import MakeDatabase
from tests.services.processes import ROOT, SECONDS, Fleet


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """Serve the stand-in."""
    async with collecting() as double:
        yield double


@pytest.fixture
async def fleet(make_database: MakeDatabase, tmp_path: Path, collector: Collector) -> AsyncIterator[Fleet]:
    """Run the three services, which send their traces to the stand-in."""
    databases = {name: await make_database() for name in ("auth", "chat", "notifications")}
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    made = Fleet(tmp_path, databases, extra=dict.fromkeys(databases, environ))
    try:
        await made.start_all()
        yield made
    finally:
        await made.kill()


async def test_a_trace_runs_through_the_services(
    fleet: Fleet, collector: Collector, client: aiohttp.ClientSession
) -> None:
    """A login reaches chat in one trace; a shout is a span with both its moments; nothing private is in any."""
    auth, chat = fleet.started["auth"], fleet.started["chat"]
    trace, parent, request_id = secrets.token_hex(16), secrets.token_hex(8), f"request-{secrets.token_hex(8)}"
    headers = {"traceparent": f"00-{trace}-{parent}-01", "X-Request-ID": request_id}
    body = {"authProvider": "dev", "token": "Ada Lovelace"}
    async with client.post(f"{auth.public}/login", json=body, headers=headers) as response:
        assert response.status == 200
        token = (await response.json())["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    async with client.post(f"{chat.public}/channels", json={"channel_name": "Secret"}, headers=bearer) as response:
        topic = (await response.json())["data"]["topic"]
    async with client.ws_connect(f"{chat.public}/socket/websocket?vsn=2.0.0&token={token}") as socket:
        phoenix = Phoenix(socket)
        await phoenix.join(f"room:{topic}")
        await phoenix.shout(f"room:{topic}", "the message's text")
    async with client.get(f"{chat.public}/channels/7/events?last_message_id=x", headers=bearer) as response:
        assert response.status == 422
    for process in fleet.started.values():
        assert await process.stop() == 0

    login, called, made = (
        collector.find("auth", "POST /login"),
        collector.find("auth", "POST chat"),
        collector.find("chat", "POST /internal/users"),
    )
    assert [span.trace for span in (login, called, made)] == [trace] * 3
    assert [span.parent for span in (login, called, made)] == [parent, login.id, called.id]
    assert [span.kind for span in (login, called, made)] == [2, 3, 2]
    assert login.attributes == {
        "http.request.method": "POST",
        "http.route": "/login",
        "http.response.status_code": 200,
        "stampchat.request_id": request_id,
    }
    assert made.attributes["stampchat.request_id"] == request_id
    assert collector.find("chat", "shout").events == ["stored", "told"]
    assert not any("livez" in span.name or "websocket" in span.name for span in collector.spans)
    written = str(collector.spans).lower()
    # No word here may be spelled by the hexadecimal digits of an id: one that was, "ada", came up in a random one.
    for secret in (token, topic, "the message's text", "Lovelace"):
        assert secret.lower() not in written
    for process in (auth, chat):
        lines = [line for line in process.lines() if line.get("request_id") == request_id]
        assert lines
        assert {line["trace_id"] for line in lines} == {trace}


async def test_a_collector_that_is_away_stops_nobody(
    make_database: MakeDatabase, tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    """Requests are answered, and the process ends when it is told to."""
    fleet = Fleet(tmp_path, {"notifications": await make_database()})
    fleet.extra["notifications"] = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    try:
        process = await fleet.start("notifications")
        async with client.get(f"{process.public}/test") as response:
            assert response.status == 200
        assert await process.stop() == 0
        assert "Traceback" not in process.log.read_text()
    finally:
        await fleet.kill()


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    """It would cost each start a third of a second."""
    script = (
        "import sys, services.auth.__main__, services.chat.__main__, services.notifications.__main__\n"
        "from services import tracing\n"
        "with tracing.tracing('auth', {}): pass\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=SECONDS)


@pytest.mark.parametrize("environ", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "true"}])
def test_who_traces_nothing_pays_for_nothing(environ: dict[str, str]) -> None:
    """One and the same span that does nothing is handed to everybody."""
    with tracing.tracing("auth", environ):
        first, second = tracing.span("shout", attributes={"a": 1}), tracing.span("push")
        with first as span:
            span.set("a", 1)
            span.event("stored")
        assert first is second
        assert tracing.current() is span
        assert (tracing.traceparent(), tracing.trace_id()) == ("", "")


def test_an_endpoint_that_cannot_be_used_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for traces and gets none would look for them for hours."""
    monkeypatch.setitem(sys.modules, "services.tracing_otlp", None)
    with (
        pytest.raises(StartError, match="Traces are asked for"),
        tracing.tracing("auth", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}),
    ):
        pass
    assert tracing.trace_id() == ""
