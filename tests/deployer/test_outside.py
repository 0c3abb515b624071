"""Checks from outside, against a small server that answers as a deployment would, or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import cast

import pytest

from deployer.errors import DeployError
from deployer.kube import Kube, Pod
from deployer.outside import check_outside, judge_images, judge_redirect, outside_checks
from deployer.report import Silent
from tests.ports import free_port

DIGEST = "ab" * 32
IMAGES = {"services": f"stampchat.local/services@sha256:{DIGEST}"}
GOOD = {
    "/auth/login": (422, '{"error": {"code": "invalid", "message": "The body does not fit."}}'),
    "/chat/socket/websocket?vsn=2.0.0": (403, '{"error": {"code": "no_token", "message": "A token is needed."}}'),
}


@contextmanager
def serving(answers: dict[str, tuple[int, str]]) -> Iterator[str]:
    """Answer some paths, and 404 for all others."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = answers.get(self.path, (404, ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = answer  # noqa: N815  # the standard library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def pod(workload: str, image: str = DIGEST[:12], *, ready: bool = True) -> Pod:
    """Make a pod."""
    return Pod("stampchat", f"{workload}-1", workload, ready, "Running", 0, image, "", "")


def test_a_deployment_that_is_as_it_should_be_passes() -> None:
    """All checks, and at once."""
    kube = cast("Kube", SimpleNamespace(pods=lambda: [pod("stamp-chat-auth"), pod("gateway", "other")]))

    with serving(GOOD) as url:
        assert check_outside(url, IMAGES, kube, Silent(), seconds=0) == 5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"/auth/login": (502, "")}, "login: POST /auth/login answers 502, not 422"),
        ({"/auth/login": (422, "<html>")}, "login: POST /auth/login answers 422, but not as our service does"),
        (
            {"/chat/socket/websocket?vsn=2.0.0": (404, "")},
            "websocket: GET /chat/socket/websocket?vsn=2.0.0 answers 404",
        ),
        ({"/chat/internal/users": (401, "")}, "internal: GET /chat/internal/users answers 401, not 404"),
        ({"/": (200, "welcome")}, "unknown: GET / answers 200, not 404"),
    ],
)
def test_each_path_that_answers_otherwise_is_named(changed: dict[str, tuple[int, str]], said: str) -> None:
    """A proxy's own page included."""
    kube = cast("Kube", SimpleNamespace(pods=lambda: [pod("stamp-chat-auth")]))

    with serving({**GOOD, **changed}) as url, pytest.raises(DeployError, match="not what was deployed") as caught:
        check_outside(url, IMAGES, kube, Silent(), seconds=0)

    assert said in caught.value.said


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([pod("stamp-chat-auth"), pod("stamp-chat-channels")], ""),
        ([pod("stamp-chat-auth"), pod("stamp-chat-channels", "old")], "stamp-chat-channels still run another image"),
        ([pod("stamp-chat-auth", ready=False)], "stamp-chat-auth are not ready"),
        ([pod("gateway")], "no pod of the services runs"),
    ],
)
def test_pods_of_another_image_are_named(pods: list[Pod], said: str) -> None:
    """And those that do not serve."""
    assert said in judge_images(pods, IMAGES)
    assert bool(said) == bool(judge_images(pods, IMAGES))


def test_a_certificate_that_no_client_takes_and_a_port_that_is_closed_are_told() -> None:
    """Https has two checks more."""
    port = free_port()
    checks = outside_checks(f"https://127.0.0.1:{port}")

    assert f"127.0.0.1:{port}" in checks["certificate"]()
    assert {"certificate", "redirect"} <= set(checks)
    assert "not sent to https" in judge_redirect("127.0.0.1", port)
    with serving({"/auth/test": (301, "")}) as url:
        assert judge_redirect("127.0.0.1", int(url.rpartition(":")[2])) == ""
