"""What a pod answers is taken whole or not at all, whatever serves at its port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from deployer.top import forward
from deployer.top.errors import ProbeError
from deployer.top.forward import get


@contextmanager
def answering(answer: bytes) -> Iterator[HTTPConnection]:
    """Serve one answer, whatever is asked, and hang up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        connection = HTTPConnection("127.0.0.1", server.getsockname()[1], timeout=60)
        try:
            yield connection
        finally:
            connection.close()
            thread.join()


def test_an_answer_is_taken_with_its_status() -> None:
    with answering(b"HTTP/1.1 503 Away\r\nContent-Length: 3\r\n\r\nno\n") as connection:
        assert get(connection, "/readyz") == (503, "no\n")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nstampchat_build_info 1\n", "at /metrics breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", "at /metrics breaks off"),
        (b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe\x00", "at /metrics is no text"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 2000, "at /metrics is longer than"),
    ],
)
def test_what_is_not_whole_is_told(answer: bytes, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "MOST_BYTES", 1000)

    with answering(answer) as connection, pytest.raises(ProbeError, match=told):
        get(connection, "/metrics")
