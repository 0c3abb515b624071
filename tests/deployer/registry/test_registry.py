"""Names, credentials, and everything that a registry may answer instead of yes."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from deployer.errors import DeployError, UsageError
from deployer.registry import Credentials, Registry, check_tag, find_credentials, parse_registry
from deployer.registry.errors import RegistryError
from tests.ports import free_port

Answers = dict[str, tuple[int, dict[str, str], bytes]]


@pytest.mark.parametrize(
    ("text", "host", "path", "base"),
    [
        ("registry.here.net/team/chat", "registry.here.net", "team/chat", "https://registry.here.net"),
        ("localhost:5000", "localhost:5000", "", "http://localhost:5000"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000", "a", "http://127.0.0.1:5000"),
        ("[::1]:5000/a", "[::1]:5000", "a", "http://[::1]:5000"),
        ("oci://ghcr.io/you/x/", "ghcr.io", "you/x", "https://ghcr.io"),
        ("index.docker.io/you", "docker.io", "you", "https://registry-1.docker.io"),
    ],
)
def test_a_registry_is_read(text: str, host: str, path: str, base: str) -> None:
    """Http is for this machine alone."""
    name = parse_registry(text)

    assert (name.host, name.path, name.base) == (host, path, base)


def test_http_has_to_be_asked_for() -> None:
    """Where the registry is elsewhere."""
    assert parse_registry("10.0.0.1:5000", insecure=True).base == "http://10.0.0.1:5000"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://ghcr.io/you", "has no scheme"),
        ("stampchat", "does not begin with a registry's host"),
        ("", "does not begin with a registry's host"),
        ("ghcr.io/You/Chat", "Did you mean ghcr.io/you/chat"),
        ("ghcr.io/you//chat", "cannot be part of an image's name"),
        ("ghcr.io/you/chat:1.0", "cannot be part of an image's name"),
        ("ghcr.io/-x", "cannot be part of an image's name"),
        ("gh cr.io/x", "does not begin with a registry's host"),
    ],
)
def test_a_name_that_cannot_be_is_refused(text: str, said: str) -> None:
    """Before anything is built."""
    with pytest.raises(UsageError, match=said):
        parse_registry(text)


def test_a_tag_that_cannot_be_is_refused() -> None:
    """The same."""
    assert check_tag("v1.2_x-3") == "v1.2_x-3"
    with pytest.raises(UsageError, match="is no tag"):
        check_tag("a/b")


def docker(folder: Path, **config: object) -> dict[str, str]:
    """Write Docker's configuration, and return the environment that leads to it."""
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}:/usr/bin:/bin"}


def helper(folder: Path, script: str) -> None:
    """Put a credential helper on the PATH."""
    (folder / "docker-credential-made").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "docker-credential-made").chmod(0o755)


def test_credentials_come_from_dockers_configuration(tmp_path: Path) -> None:
    """In its three forms, or not at all."""
    auths = {
        "a.net": {"auth": base64.b64encode(b"ada:pass:word").decode()},
        "b.net": {"identitytoken": "buys-others"},
        "https://index.docker.io/v1/": {"username": "ada", "password": "hub"},
    }
    environ = docker(tmp_path, auths=auths)

    assert find_credentials("a.net", environ) == Credentials("ada", "pass:word")
    assert find_credentials("b.net", environ) == Credentials(identity_token="buys-others")
    assert find_credentials(parse_registry("docker.io/x").credentials_key, environ) == Credentials("ada", "hub")
    assert not find_credentials("c.net", environ)
    assert not find_credentials("a.net", {"HOME": str(tmp_path / "nobody")})
    assert "pass:word" not in repr(find_credentials("a.net", environ))


def test_credentials_come_from_a_helper(tmp_path: Path) -> None:
    """Of one registry or of all; a token buys others."""
    helper(tmp_path, 'read -r host; echo "{\\"Username\\": \\"$host\\", \\"Secret\\": \\"s\\"}"')
    assert find_credentials("a.net", docker(tmp_path, credHelpers={"a.net": "made"})) == Credentials("a.net", "s")
    assert find_credentials("b.net", docker(tmp_path, credsStore="made")) == Credentials("b.net", "s")
    helper(tmp_path, 'echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"s\\"}"')
    assert find_credentials("a.net", docker(tmp_path, credsStore="made")) == Credentials(identity_token="s")
    helper(tmp_path, "echo credentials not found in native keychain; exit 1")
    assert not find_credentials("a.net", docker(tmp_path, credsStore="made"))


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo locked >&2; exit 1", "locked"),
        ("echo hush-hush", "something else than credentials"),
        (None, "is not there"),
    ],
)
def test_a_helper_that_fails_is_named(tmp_path: Path, script: str | None, said: str) -> None:
    """And what it printed instead of credentials is not shown."""
    environ = docker(tmp_path, credsStore="made")
    if script:
        helper(tmp_path, script)
    with pytest.raises(DeployError, match=said) as caught:
        find_credentials("a.net", environ)
    assert "docker-credential-made" in str(caught.value)
    assert "hush-hush" not in str(caught.value)


def test_a_configuration_that_is_broken_is_named(tmp_path: Path) -> None:
    """Without what is in it."""
    (tmp_path / "config.json").write_text("{hush-hush")
    with pytest.raises(DeployError, match=r"config\.json cannot be read") as caught:
        find_credentials("a.net", {"DOCKER_CONFIG": str(tmp_path)})
    assert "hush-hush" not in str(caught.value)


@contextmanager
def answering(answers: Answers) -> Iterator[tuple[str, list[str]]]:
    """Serve fixed answers by "METHOD /path"; what lacks one is 404. Yields the host and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            shown = self.headers.get("authorization", "")
            asked.append(f"{self.command} {self.path} {shown}".strip())
            key = f"{self.command} {self.path.partition('?')[0]}"
            status, headers, body = answers.get(f"{key} {shown}", answers.get(key, (404, {}, b"")))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815  # the base class's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error(code: str, message: str) -> bytes:
    """Write an error as the specification has it."""
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (403, {}, error("DENIED", "not yours"), "DENIED not yours.*may not push to"),
        (404, {}, error("NAME_UNKNOWN", "no repository"), "NAME_UNKNOWN no repository.*Make the repository"),
        (200, {"content-type": "text/html"}, b"<html>Log in here</html>", "does not answer as a registry.*Log in here"),
        (413, {}, b"too big\x1b[31m", r"413 too big\[31m.*limits the size"),
        (500, {"retry-after": "0"}, error("UNKNOWN", "disk full"), "500 UNKNOWN disk full.*Run this again"),
    ],
)
def test_a_refusal_is_one_paragraph(status: int, headers: dict[str, str], body: bytes, said: str) -> None:
    """What was refused, in the registry's own words, and what to do."""
    answers: Answers = {"POST /v2/team/x/blobs/uploads/": (status, headers, body)}
    with answering(answers) as (host, _):
        repository = Registry(parse_registry(f"{host}/team"), Credentials("ada", "hush")).repository("x")
        with pytest.raises(RegistryError, match=f"(?s){said}") as caught:
            repository.send_blob("sha256:" + "0" * 64, b"content", sent=lambda _: None)
    assert "hush" not in str(caught.value)


def test_a_registry_that_is_away_is_named() -> None:
    """After a few tries."""
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryError, match=f"{host} does not answer"):
        Registry(parse_registry(host), Credentials()).check()


def test_a_page_is_no_registry() -> None:
    """A proxy's login, for instance."""
    answers: Answers = {"GET /v2/": (200, {"content-type": "text/html; charset=utf-8"}, b"<html>hello</html>")}
    with answering(answers) as (host, _), pytest.raises(RegistryError, match="does not answer as a registry"):
        Registry(parse_registry(host), Credentials()).check()


def test_a_token_is_fetched_and_shown() -> None:
    """For the scope that the registry names, once for a repository."""
    digest = "sha256:" + "0" * 64
    place = f"/v2/team/x/blobs/{digest}"
    answers: Answers = {f"HEAD {place} Bearer bought": (200, {}, b"")}
    answers["GET /token"] = (200, {"content-type": "application/json"}, b'{"token": "bought"}')
    with answering(answers) as (host, asked):
        challenge = f'Bearer realm="http://{host}/token",service="s",scope="repository:team/x:pull,push"'
        answers[f"HEAD {place}"] = (401, {"www-authenticate": challenge}, b"")
        repository = Registry(parse_registry(f"{host}/team"), Credentials("ada", "hush")).repository("x")
        assert repository.has_blob(digest)
        assert repository.has_blob(digest)
    address, shown = next(line.split(" ", 2)[1:] for line in asked if line.startswith("GET /token"))
    assert parse_qs(urlsplit(address).query) == {"service": ["s"], "scope": ["repository:team/x:pull,push"]}
    assert shown == Credentials("ada", "hush").basic
    assert [line.partition(" ")[0] for line in asked] == ["HEAD", "GET", "HEAD", "HEAD"]


def test_a_password_goes_to_no_other_host() -> None:
    """An upload may be sent elsewhere, where the registry's credentials are nobody's business."""
    digest = "sha256:" + "0" * 64
    with answering({"PUT /store": (201, {}, b"")}) as (other, asked_there):
        answers: Answers = {"POST /v2/x/blobs/uploads/": (202, {"location": f"http://{other}/store?a=b"}, b"")}
        with answering(answers) as (own, _):
            registry = Registry(parse_registry(own), Credentials("ada", "hush"))
            registry.repository("x").send_blob(digest, b"content", sent=lambda _: None)
    assert asked_there == [f"PUT /store?a=b&digest=sha256%3A{'0' * 64}"]
