"""Checks from outside, against a small server that answers as a deployment would, or not."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from deployer.errors import DeployError
from deployer.kube import Kube, Pod
from deployer.outside import (
    check_outside,
    client_trust,
    judge_certificate,
    judge_images,
    judge_redirect,
    judge_served,
    outside_checks,
)
from deployer.report import Silent
from tests.ports import free_port
from tests.services.storage.certificates import Authority

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
        assert check_outside(url, IMAGES, kube, Silent(), seconds=0) == 6


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
        ({"/index.html": (200, "welcome")}, "unknown: GET /index.html answers 200, not 404"),
        ({"/": (200, "welcome")}, "page: GET / answers 200, not 404"),
    ],
)
def test_each_path_that_answers_otherwise_is_named(changed: dict[str, tuple[int, str]], said: str) -> None:
    """A proxy's own page included."""
    kube = cast("Kube", SimpleNamespace(pods=lambda: [pod("stamp-chat-auth")]))

    with serving({**GOOD, **changed}) as url, pytest.raises(DeployError, match="not what was deployed") as caught:
        check_outside(url, IMAGES, kube, Silent(), seconds=0)

    assert said in caught.value.said


def test_the_page_is_asked_for_where_there_is_one() -> None:
    kube = cast("Kube", SimpleNamespace(pods=lambda: [pod("stamp-chat-auth")]))

    with serving({**GOOD, "/": (200, "<!doctype html>")}) as url:
        assert check_outside(url, IMAGES, kube, Silent(), page=True, seconds=0) == 6
    with serving(GOOD) as url, pytest.raises(DeployError) as caught:
        check_outside(url, IMAGES, kube, Silent(), page=True, seconds=0)
    assert "page: GET / answers 404, not 200" in caught.value.said


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


NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
HOST = "chat.stampchat.app"


def certificate(name: str, *, began: int, ends: int) -> bytes:
    """Make a certificate that began and ends so many days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whoever")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW + dt.timedelta(days=began))
    builder = builder.not_valid_after(NOW + dt.timedelta(days=ends))
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    return builder.add_extension(names, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("name", "began", "ends", "said"),
    [
        (HOST, 0, 90, ""),
        (HOST, -60, 30, ""),
        (HOST, -74, 16, ""),
        (HOST, -76, 14, "its renewal has failed: it ends on 08 December 2026, 14 days from now of the 90 it had"),
        (HOST, -91, -1, "its renewal has failed: it ends on 23 November 2026, -1 days from now"),
        # Six days is what Let's Encrypt's short-lived ones have at all.
        (HOST, -3, 3, ""),
        (HOST, -5, 0, "its renewal has failed"),
        ("www.stampchat.app", 0, 90, "it is for www.stampchat.app, not for chat.stampchat.app"),
    ],
)
def test_a_certificate_that_is_about_to_end_is_told(name: str, began: int, ends: int, said: str) -> None:
    """By how much of its life is left, whatever its life is."""
    found = judge_served(certificate(name, began=began, ends=ends), HOST, NOW)

    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_whose_certificates_are_taken() -> None:
    """Anybody's while Let's Encrypt's staging signs; there is nothing to trust in dev."""
    hosted = {"stampchat:hostname": HOST}

    for acme in ({}, {"server": "staging"}):
        trust = client_trust({"config": {**hosted, "stampchat:acme": acme}})
        assert trust is not None
        assert trust.verify_mode is ssl.CERT_NONE
    assert client_trust({"config": {**hosted, "stampchat:acme": {"server": "production"}}}) is None
    assert client_trust({"config": {"stampchat:place": "dev"}}) is None


def test_a_certificate_of_nobody_known_is_refused_unless_it_is_for_a_try(tmp_path: Path) -> None:
    """The name is looked at all the same."""
    authority = Authority(tmp_path, "staging")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost"))
    trust = client_trust({"config": {"stampchat:hostname": "localhost"}})

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            for _ in range(3):
                with contextlib.suppress(OSError), context.wrap_socket(listening.accept()[0], server_side=True):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert "a client refuses it" in judge_certificate("localhost", port)
        # It began twenty days ago and has ten to go.
        assert judge_certificate("localhost", port, trust) == ""
        assert "it is for localhost, not for 127.0.0.1" in judge_certificate("127.0.0.1", port, trust)
        thread.join()


def test_cert_manager_says_why_there_is_no_good_certificate() -> None:
    """Beside what a client sees."""
    silent = SimpleNamespace(
        configuration=SimpleNamespace(host=""),
        rest_client=SimpleNamespace(pool_manager=SimpleNamespace(request=refuse)),
        update_params_for_auth=lambda *_: None,
    )
    kube = cast("Kube", SimpleNamespace(pods=lambda: [pod("stamp-chat-auth")], connection=silent))

    with pytest.raises(DeployError) as caught:
        check_outside(f"https://127.0.0.1:{free_port()}", IMAGES, kube, Silent(), seconds=0)

    assert "certificate: 127.0.0.1" in caught.value.said
    assert caught.value.said.endswith("There is no ClusterIssuer of ours.")


def refuse(*_: object, **__: object) -> None:
    """Be an API server that does not answer."""
    raise OSError
