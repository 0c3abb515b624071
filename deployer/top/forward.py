"""Ask a pod over HTTP through the cluster's API, by port-forward.

The kubelet opens the connection inside the pod's own network, so no network policy has to let anybody in for it. The
API server's own proxy would come from wherever the control plane is, which a managed cluster's policies cannot name.
"""

from __future__ import annotations

import io
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from deployer.kube import Kube, Pod
from deployer.top.errors import ProbeError

# A scrape takes some milliseconds; a person waits for the slowest pod's.
SECONDS = 3.0
MOST_BYTES = 8 * 2**20
# Both ends speak of the data of a port on channel 0, of what is wrong with it on channel 1.
# https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/, and the kubelet's cri-streaming/portforward.
_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_NOT_FOUND, _FORBIDDEN = 404, 403


@contextmanager
def forward(kube: Kube, pod: Pod, *, seconds: float = SECONDS) -> Iterator[HTTPConnection]:
    """Open an HTTP connection to a pod's internal port.

    Args:
        kube: the cluster.
        pod: whom to ask.
        seconds: the most that everything over this connection may take.

    Raises:
        ProbeError: the connection cannot be made, breaks, or is too slow.
    """
    import websocket

    deadline = time.monotonic() + seconds
    try:
        channel = _Channel(_open(kube, pod, seconds), deadline)
        try:
            connection = HTTPConnection("localhost", pod.internal_port)
            # As much of a socket as HTTP needs; were it closed, HTTP would open one to this machine by itself.
            connection.sock, connection.auto_open = channel, 0
            yield connection
        finally:
            channel.close()
    except websocket.WebSocketBadStatusException as error:
        raise ProbeError(_refusal(error)) from error
    except (TimeoutError, websocket.WebSocketTimeoutException) as error:
        raise ProbeError(f"its metrics did not come within {seconds:.0f} s") from error
    except (OSError, websocket.WebSocketException, HTTPException) as error:
        raise ProbeError(f"its metrics cannot be reached: {_plain(error)}") from error


def get(connection: HTTPConnection, path: str) -> tuple[int, str]:
    """Ask for a path; return status and text.

    Raises:
        ProbeError: the answer is too long, breaks off, or is no text.
    """
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ProbeError(f"what it answers at {path} is longer than {MOST_BYTES // 2**20} MiB")
    # Of what was announced this much is left; the kubelet may lose the end of what a server sends before it hangs up.
    if answer.length:
        raise ProbeError(f"what it answers at {path} breaks off")
    try:
        return answer.status, body.decode()
    except UnicodeDecodeError as error:
        raise ProbeError(f"what it answers at {path} is no text") from error


class _Channel:
    """Be as much of a socket as an HTTP connection uses, over a port that the API server forwards.

    Args:
        forwarded: the websocket that carries it.
        deadline: when the patience ends, by the monotonic clock.
    """

    def __init__(self, forwarded: Any, deadline: float) -> None:
        self._forwarded = forwarded
        self._deadline = deadline
        self._greeted: set[int] = set()

    def sendall(self, data: bytes) -> None:
        self._forwarded.send_binary(bytes([_DATA]) + data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        self._forwarded.shutdown()

    def receive(self) -> bytes:
        """Return what comes next; nothing at the end."""
        from websocket import ABNF, WebSocketConnectionClosedException

        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._forwarded.settimeout(left)
            try:
                opcode, frame = self._forwarded.recv_data()
            except WebSocketConnectionClosedException:
                return b""
            if opcode == ABNF.OPCODE_CLOSE or not frame:
                return b""
            channel, data = frame[0], frame[1:]
            if channel not in self._greeted:
                # The first of each channel says which port it is about.
                self._greeted.add(channel)
            elif channel == _ERROR and data:
                raise ConnectionError(data.decode(errors="replace"))
            elif channel == _DATA and data:
                return bytes(data)


class _Reader(io.RawIOBase):
    """Read a channel as a file."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._rest or self._channel.receive()
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        self._rest = data[count:]
        return count


def _open(kube: Kube, pod: Pod, seconds: float) -> Any:
    import websocket
    from kubernetes.stream.ws_client import websocket_proxycare

    settings = kube.connection.configuration
    headers: dict[str, str] = {}
    kube.connection.update_params_for_auth(headers, [], ["BearerToken"])
    server = urlsplit(settings.host)
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/portforward"
    query = urlencode({"ports": pod.internal_port})
    url = f"{'wss' if server.scheme == 'https' else 'ws'}://{server.netloc}{server.path}{path}?{query}"
    # By the proxy of the Kubernetes client, and never by one that this library would find by itself.
    proxy = websocket_proxycare({}, settings, url, headers) if settings.proxy else {"http_no_proxy": ["*"]}
    return websocket.create_connection(
        url,
        timeout=seconds,
        header=[f"{name}: {value}" for name, value in headers.items()],
        subprotocols=[_PROTOCOL],
        suppress_origin=True,
        sslopt=_tls(settings),
        **proxy,
    )


def _tls(settings: Any) -> Mapping[str, Any]:
    """Trust, and show, what the Kubernetes client does."""
    options: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if settings.verify_ssl else ssl.CERT_NONE}
    named = {
        "ca_certs": settings.ssl_ca_cert if settings.verify_ssl else None,
        "certfile": settings.cert_file,
        "keyfile": settings.key_file,
        "server_hostname": settings.tls_server_name,
        "check_hostname": settings.assert_hostname if settings.verify_ssl else False,
    }
    return options | {key: value for key, value in named.items() if value is not None}


def _refusal(error: Any) -> str:
    if error.status_code == _FORBIDDEN:
        return "this user of the cluster may not forward ports (create and get of pods/portforward)"
    if error.status_code == _NOT_FOUND:
        return "it has just gone"
    try:
        said = str(json.loads(error.resp_body)["message"])
    except (ValueError, KeyError, TypeError):
        said = f"status {error.status_code}"
    return f"the cluster forwards no port to it: {' '.join(said.split())}"


def _plain(error: Exception) -> str:
    """Take the kubelet's reason out of its long sentence."""
    said = " ".join(str(error).split())
    if "refused" in said:
        return "nothing listens at its internal port"
    return said or type(error).__name__
