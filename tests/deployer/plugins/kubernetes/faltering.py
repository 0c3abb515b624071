"""Stand between a plugin and the real API server, and let single requests go wrong on the way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from deployer.plugins.kubernetes.kubeconfig import load_access
from deployer.plugins.kubernetes.settings import Settings

# What goes wrong: a status that is answered in the server's place, or words about the connection.
BEFORE, AFTER = "cut before the server", "cut after the server"
Fault = int | str | None
Choose = Callable[[str, str], Fault]


class _Handler(BaseHTTPRequestHandler):
    """Answer one connection's requests, each by what was chosen for it."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.pick(self.command, self.path)
        if isinstance(fault, int):
            self._answer(fault, "application/json", b'{"kind": "Status", "message": "faltering"}')
        elif fault == BEFORE:
            self._cut()
        else:
            self._ask(body, cut=fault == AFTER)

    def _ask(self, body: bytes, *, cut: bool) -> None:
        # Whoever asked may be gone by now: writing to them fails, and the way to the server is closed all the same.
        with closing(self.server.connect()) as upstream:
            self._relay(upstream, body, cut=cut)

    def _relay(self, upstream: HTTPSConnection, body: bytes, *, cut: bool) -> None:
        headers = {key: self.headers[key] for key in ("Content-Type", "Accept") if self.headers[key]}
        upstream.request(self.command, self.path, body=body, headers=headers)
        response = upstream.getresponse()
        if cut:
            response.read()
            self._cut()
        elif "watch=true" in self.path:
            self.send_response(response.status)
            self.send_header("Connection", "close")
            self.end_headers()
            while line := response.readline():
                self.wfile.write(line)
            self.close_connection = True
        else:
            self._answer(response.status, response.getheader("Content-Type", ""), response.read())

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(content))), ("Retry-After", "0")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _cut(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815  # the base class's names

    def log_message(self, *_: object) -> None: ...


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, kubeconfig: Path, choose: Choose) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._access = load_access(Settings(kubeconfig=str(kubeconfig)))
        self._choose = choose
        self._lock = threading.Lock()
        self.faults = 0

    def pick(self, method: str, path: str) -> Fault:
        with self._lock:
            fault = self._choose(method, path)
            self.faults += fault is not None
            return fault

    def connect(self) -> HTTPSConnection:
        upstream = urlsplit(self._access.server)
        return HTTPSConnection(upstream.hostname or "", upstream.port, timeout=60, context=self._access.tls)

    def handle_error(self, *_: Any) -> None: ...  # a plugin that ends leaves half-open connections


class Faltering:
    """Pass requests on to the API server, but for those that a function picks.

    Args:
        kubeconfig: the way to the real one.
        choose: gets method and path of each request, and says what goes wrong with it.
    """

    def __init__(self, kubeconfig: Path, choose: Choose) -> None:
        self._server = _Server(kubeconfig, choose)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def faults(self) -> int:
        """How many requests went wrong so far."""
        return self._server.faults

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FirstOfEach:
    """Let the first request of each method and path go wrong.

    Args:
        fault: how.
        methods: of which methods.
    """

    def __init__(self, fault: Fault, methods: tuple[str, ...]) -> None:
        self._fault = fault
        self._methods = methods
        self._seen: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str) -> Fault:
        key = (method, path.partition("?")[0])
        # A preview's are harmless, and the first question of all decides whether there is a cluster.
        if method not in self._methods or "dryRun" in path or path.startswith("/version") or key in self._seen:
            return None
        self._seen.add(key)
        return self._fault

    def again(self) -> None:
        """Begin anew."""
        self._seen.clear()
