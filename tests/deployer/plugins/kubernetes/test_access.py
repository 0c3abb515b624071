from __future__ import annotations

import json
import socket
import stat
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deployer.plugins.kubernetes.api import Api, Resource
from deployer.plugins.kubernetes.cluster import connect
from deployer.plugins.kubernetes.configuration import replacing_arguments
from deployer.plugins.kubernetes.discovery import Discovery
from deployer.plugins.kubernetes.errors import ApiError, ClusterUnreachableError, UnknownKindError
from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.kubeconfig import load_access
from deployer.plugins.kubernetes.settings import Settings, load_settings
from deployer.plugins.values import Secret

THINGS = Resource("v1", "things", namespaced=True)


class Server:
    """Answer as an API server would, by a list of (status, headers, body); the last is repeated."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], Any]] = [(200, {}, {})]
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.closed = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, self.path, dict(self.headers)))
                status, headers, body = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = "Close" in headers

            def finish(self) -> None:
                super().finish()
                self.connection.shutdown(socket.SHUT_RDWR)
                outer.closed += 1

            do_GET = do_POST = do_PATCH = _answer  # noqa: N815  # the base class's names

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    made = Api(load_access(Settings(kubeconfig=kubeconfig(server.address))), threading.Event())
    yield made
    made.close()


def kubeconfig(server: str, user: dict[str, Any] | None = None, *, authority: str = "") -> str:
    return json.dumps(
        {
            "current-context": "one",
            "contexts": [
                {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "mine"}},
                {"name": "two", "context": {"cluster": "d", "user": "u"}},
            ],
            "clusters": [
                {"name": "c", "cluster": {"server": server, "certificate-authority-data": authority}},
                {"name": "d", "cluster": {"server": "https://other:6443"}},
            ],
            "users": [{"name": "u", "user": {"token": "t0"} if user is None else user}],
        }
    )


@pytest.mark.parametrize("busy", [429, 503, 504])
def test_a_busy_server_is_asked_again(server: Server, api: Api, busy: int) -> None:
    server.answers = [(busy, {"Retry-After": "0"}, {}), (201, {}, {"kind": "Thing"})]
    assert api.create(THINGS, "n", {"metadata": {}}, manager="m", dry_run=False) == {"kind": "Thing"}
    assert [path for _, path, _ in server.seen] == ["/api/v1/namespaces/n/things?fieldManager=m"] * 2


def test_a_failure_inside_the_server_is_asked_again_only_where_it_cannot_harm(server: Server, api: Api) -> None:
    server.answers = [(500, {}, {"message": "etcd"}), (200, {}, {"kind": "Thing"})]
    assert api.get(THINGS, "n", "x") == {"kind": "Thing"}
    server.answers = [(500, {}, {"message": "etcd"}), (200, {}, {"kind": "Thing"})]
    with pytest.raises(ApiError, match="etcd"):
        api.create(THINGS, "n", {"metadata": {}}, manager="m", dry_run=False)


def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(server: Server, api: Api) -> None:
    server.answers = [(200, {"Close": "yes"}, {}), (200, {}, {"kind": "Thing"})]
    api.get(THINGS, "n", "x")
    assert api.get(THINGS, "n", "x") == {"kind": "Thing"}


def test_a_create_is_not_sent_on_a_connection_that_the_server_closes(server: Server, api: Api) -> None:
    """Nobody could tell whether it came through."""
    server.answers = [(200, {"Close": "yes"}, {}), (201, {}, {"kind": "Thing"})]
    api.get(THINGS, "n", "x")
    deadline = time.monotonic() + 60
    while not server.closed:
        assert time.monotonic() < deadline
        time.sleep(0.01)

    assert api.create(THINGS, "n", {"metadata": {}}, manager="m", dry_run=False) == {"kind": "Thing"}


def test_a_server_that_is_away_is_said_at_once(server: Server) -> None:
    with pytest.raises(ClusterUnreachableError, match=r"127\.0\.0\.1:1 does not answer"):
        connect(Settings(kubeconfig=kubeconfig("http://127.0.0.1:1")), threading.Event())
    server.answers = [(401, {}, {})]
    with pytest.raises(ClusterUnreachableError, match="does not accept our credentials"):
        connect(Settings(kubeconfig=kubeconfig(server.address)), threading.Event())


@pytest.mark.parametrize(
    ("contents", "context", "says"),
    [
        ("{}", "", "has no context ''"),
        (kubeconfig("https://x"), "three", "has no context 'three' \\(it has: one, two\\)"),
        (kubeconfig("nonsense"), "", "server is 'nonsense'"),
        ("a: [\n", "", "is no YAML \\(line 2\\)"),
        ("/nowhere/kubeconfig", "", "/nowhere/kubeconfig cannot be read"),
        (kubeconfig("https://x", authority="bm8="), "", "certificates cannot be used"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere(contents: str, context: str, says: str) -> None:
    with pytest.raises(ClusterUnreachableError, match=says):
        load_access(Settings(kubeconfig=contents, context=context))


def test_namespace_and_context() -> None:
    access = load_access(Settings(kubeconfig=kubeconfig("https://x:1/")))
    assert (access.server, access.namespace) == ("https://x:1", "mine")
    other = load_access(Settings(kubeconfig=kubeconfig("https://x"), context="two"))
    assert (other.server, other.namespace) == ("https://other:6443", "default")
    assert load_access(Settings(kubeconfig=kubeconfig("https://x"), namespace="set")).namespace == "set"


def test_a_program_that_makes_tokens(tmp_path: Path, server: Server) -> None:
    program = tmp_path / "tokens"
    status = '{"status": {"token": "t-%s", "expirationTimestamp": "2000-01-01T00:00:00Z"}}'
    program.write_text(f"#!/bin/sh\nn=$(cat {tmp_path}/n); echo $((n+1)) > {tmp_path}/n\nprintf '{status}' $n\n")
    (tmp_path / "n").write_text("1")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    user = {"exec": {"command": str(program), "apiVersion": "client.authentication.k8s.io/v1"}}
    api = Api(load_access(Settings(kubeconfig=kubeconfig(server.address, user))), threading.Event())
    api.get(THINGS, "n", "x")
    api.get(THINGS, "n", "x")
    api.close()
    # The first token had ended when it came; so had each that followed.
    assert [headers["Authorization"] for _, _, headers in server.seen] == ["Bearer t-2", "Bearer t-3"]
    with pytest.raises(ClusterUnreachableError, match=r"'no-such-program', which is not here\. Get it\."):
        load_access(
            Settings(
                kubeconfig=kubeconfig("https://x", {"exec": {"command": "no-such-program", "installHint": "Get it."}})
            )
        )


def test_discovery_asks_once_and_again_for_what_was_not_there(server: Server, api: Api) -> None:
    gateways = {"resources": [{"name": "gateways", "kind": "Gateway", "namespaced": True}, {"name": "gateways/status"}]}
    server.answers = [(404, {}, {}), (200, {}, gateways)]
    discovery, kind = Discovery(api), Kind("gateway.networking.k8s.io/v1", "Gateway")
    with pytest.raises(UnknownKindError):
        discovery.find(kind)
    assert discovery.find(kind).path("n", "x") == "/apis/gateway.networking.k8s.io/v1/namespaces/n/gateways/x"
    discovery.find(kind)
    assert len(server.seen) == 2
    assert not discovery.namespaced(Kind("v1", "Namespace"))
    assert len(server.seen) == 2


def test_arguments_and_their_variables() -> None:
    given = load_settings({"kubeconfig": Secret("sesame"), "enableServerSideApply": "false"}, {})
    assert given == Settings(kubeconfig="sesame", server_side_apply=False)
    assert load_settings({}, {"PULUMI_K8S_DELETE_UNREACHABLE": "true"}).delete_unreachable
    assert load_settings({}, {"PULUMI_K8S_SKIP_UPDATE_UNREACHABLE": "true"}).skip_unreachable
    own = load_settings({"skipUpdateUnreachable": "false"}, {"PULUMI_K8S_SKIP_UPDATE_UNREACHABLE": "true"})
    assert not own.skip_unreachable
    assert "sesame" not in repr(given)


def test_another_cluster_replaces_everything() -> None:
    one, same = kubeconfig("https://x"), kubeconfig("https://x", {"token": "t1"})
    assert replacing_arguments({"kubeconfig": one}, {"kubeconfig": same}) == []
    assert replacing_arguments({"kubeconfig": one}, {"kubeconfig": kubeconfig("https://y")}) == ["kubeconfig"]
    assert replacing_arguments({"kubeconfig": one}, {"kubeconfig": one, "context": "two"}) == ["context"]
    named = {"clusterIdentifier": "a"}
    assert replacing_arguments({"kubeconfig": one, **named}, {"kubeconfig": kubeconfig("https://y"), **named}) == []
