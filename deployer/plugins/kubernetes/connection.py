"""Keep connections to one API server open and hand them out, one request at a time each."""

from __future__ import annotations

import base64
import http.client
import os
import select
import socket
import threading
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from deployer.plugins.kubernetes.errors import ClusterUnreachableError
from deployer.plugins.kubernetes.kubeconfig import Access

_CONNECT_TIMEOUT = 10.0
_READ_TIMEOUT = 60.0
_KEPT = 64  # connections kept open while nobody needs them

Response = http.client.HTTPResponse


class Connections:
    """Send requests over kept-alive connections; any number of threads may call at once.

    Args:
        access: where to and as whom.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._server = urlsplit(access.server)
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str],
        repeatable: bool = True,
    ) -> tuple[Response, http.client.HTTPConnection]:
        """Send a request and return the answer, its body not read yet, with the connection that it came by.

        Give the connection back by `release` after the body was read to its end, or close it.

        Args:
            method: HTTP's.
            path: with its query.
            body: what to send along.
            headers: besides those that say who we are.
            repeatable: whether the server may be asked twice, should the first answer get lost.

        Raises:
            ClusterUnreachableError: there is no answer.
        """
        connection, reused = self._take()
        sent = {**headers, **self._access.credentials.headers()}
        try:
            return self._exchange(connection, method, path, body, sent), connection
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if not reused or not repeatable or isinstance(error, TimeoutError):
                raise self.unreachable(error, asked=True) from error
        # The server closed a connection that had been idle: that says nothing about the server now.
        fresh = self._connect()
        try:
            return self._exchange(fresh, method, path, body, sent), fresh
        except (OSError, http.client.HTTPException) as error:
            fresh.close()
            raise self.unreachable(error, asked=True) from error

    def release(self, connection: http.client.HTTPConnection) -> None:
        """Take a connection back whose answer was read to its end."""
        with self._lock:
            if connection.sock is not None and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close every connection that is not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> Response:
        connection.request(method, self._server.path + path, body=body, headers=headers)
        return connection.getresponse()

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not _is_closing(connection):
                    return connection, True
                connection.close()
        return self._connect(), False

    def _connect(self) -> http.client.HTTPConnection:
        connection = self._make()
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            raise self.unreachable(error, asked=False) from error
        if connection.sock is not None:
            connection.sock.settimeout(_READ_TIMEOUT)
        return connection

    def _make(self) -> http.client.HTTPConnection:
        host, port = self._server.hostname or "", self._server.port
        proxy = _proxy_for(self._access.proxy, self._server)
        target, target_port = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        connection: http.client.HTTPConnection
        if self._access.tls is None:
            connection = http.client.HTTPConnection(target, target_port, timeout=_CONNECT_TIMEOUT)
        else:
            name = self._access.tls_name
            maker = http.client.HTTPSConnection if not name else _named_connection(name)
            connection = maker(target, target_port, timeout=_CONNECT_TIMEOUT, context=self._access.tls)
        if proxy:
            connection.set_tunnel(host, port or 443, headers=_proxy_headers(proxy))
        return connection

    def unreachable(self, error: Exception, *, asked: bool) -> ClusterUnreachableError:
        """Say that a server does not answer, by what happened on the way."""
        why = "it took too long" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return ClusterUnreachableError(f"{self._access.server} does not answer ({why}).", asked=asked)


def _is_closing(connection: http.client.HTTPConnection) -> bool:
    """Say whether a server has said anything on a connection on which nobody asked: that it closes it."""
    poller = select.poll()
    poller.register(connection.sock, select.POLLIN)
    return bool(poller.poll(0))


def _named_connection(name: str) -> type[http.client.HTTPSConnection]:
    """Make connections that expect a certificate for another name than the host's (tls-server-name)."""

    class Named(http.client.HTTPSConnection):
        def connect(self) -> None:
            http.client.HTTPConnection.connect(self)
            context = self._context  # type: ignore[attr-defined]  # set by the constructor, in every Python 3
            plain: socket.socket = self.sock
            self.sock = context.wrap_socket(plain, server_hostname=name)

    return Named


def _proxy_for(named: str, server: SplitResult) -> SplitResult | None:
    if named:
        return urlsplit(named)
    # Only asked when there is one: on macOS the system is asked, which takes its time.
    if not any(key.lower().endswith("_proxy") for key in os.environ):
        return None
    address = getproxies().get(server.scheme)
    return urlsplit(address) if address and not proxy_bypass(server.hostname or "") else None


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
