from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deployer.errors import DeployError
from deployer.ready import PROBES, fetch_status, wait_ready
from deployer.report import Silent


class Gateway(ThreadingHTTPServer):
    """Answer 503 so many times for each path, then 200."""

    refusals: int = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name that the library calls
        assert isinstance(self.server, Gateway)
        asked = self.server.asked[self.path] = self.server.asked.get(self.path, 0) + 1
        self.send_response(200 if asked > self.server.refusals else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_every_service_is_asked_until_it_answers(gateway: Gateway) -> None:
    gateway.refusals = 1

    wait_ready(gateway.url, Silent(), seconds=10)

    assert gateway.asked == dict.fromkeys(PROBES, 2)


def test_who_never_answers_is_named_with_what_it_said(gateway: Gateway) -> None:
    gateway.refusals = 1_000

    with pytest.raises(DeployError) as caught:
        wait_ready(gateway.url, Silent(), seconds=0)

    assert "GET /chat/test: 503" in caught.value.said


def test_a_closed_port_is_a_reason_and_not_a_crash() -> None:
    assert "refused" in str(fetch_status("http://127.0.0.1:1/"))
