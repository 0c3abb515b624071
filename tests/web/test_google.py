"""Sign in with Google on the page, by a stand-in for Google: its consent page, its Identity Toolkit and its keys.

Google's own cannot be reached here. It speaks the REST calls that the page makes, as their reference has them:
https://cloud.google.com/identity-platform/docs/reference/rest/v1/accounts
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import jwt
import pytest

from tests.services.auth.test_firebase import ONE_KEY, PROJECT, Issuer
from tests.web.person import Person
from tests.web.site import Site

KEY = "AIza" + "k" * 35
CODE, STATE, SESSION = "made-up-code", "made-up-state", "made-up-session"


class Google:
    """Stand where Google stands.

    Attributes:
        url: where it answers.
        asked: the bodies of the calls, by what they called.
        lets_in: whether it believes what the page brings back.
    """

    def __init__(self) -> None:
        self.asked: dict[str, dict[str, Any]] = {}
        self.lets_in = True
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_OPTIONS(self) -> None:  # the standard library's name
                self.answer(204, {})

            def do_GET(self) -> None:
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                if path == "/consent":
                    self.send_response(302)
                    self.send_header("Location", f"{query['redirect_uri'][0]}?state={STATE}&code={CODE}")
                    self.end_headers()
                    return
                key = jwt.algorithms.RSAAlgorithm.to_jwk(ONE_KEY.public_key(), as_dict=True)
                self.answer(200, {"keys": [{**key, "kid": "one", "alg": "RS256"}]})

            def do_POST(self) -> None:
                call = urlsplit(self.path)
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stand_in.asked[call.path] = body
                assert parse_qs(call.query) == {"key": [KEY]}
                if call.path.endswith("createAuthUri"):
                    consent = f"{stand_in.url}/consent?redirect_uri={quote(body['continueUri'], safe='')}"
                    self.answer(200, {"authUri": consent, "sessionId": SESSION})
                elif stand_in.lets_in:
                    self.answer(200, {"idToken": Issuer().mint(name="Ada of Google")})
                else:
                    self.answer(400, {"error": {"message": "INVALID_IDP_RESPONSE"}})

            def answer(self, status: int, document: dict[str, Any]) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Access-Control-Allow-Headers", "Content-Type")
                self.end_headers()
                if status != 204:
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    made = Google()
    yield made
    made.close()


@pytest.fixture(scope="module")
def google_site(google: Google) -> Iterator[Site]:
    made = Site(
        "--project-id",
        PROJECT,
        FIREBASE_KEYS_URL=f"{google.url}/keys",
        WEB_FIREBASE_API_KEY=KEY,
        WEB_IDENTITY_URL=google.url,
    )
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("lets_in", [True, False])
def test_sign_in(google_site: Site, google: Google, browser: Any, *, lets_in: bool) -> None:
    """To Google's page and back, into the room that one was invited to; a refusal is one sentence."""
    topic = google_site.log_in("Bob").post("/chat/channels", {"channel_name": "Invited"})["data"]["topic"]
    google.lets_in = lets_in
    context = browser.new_context()
    person = Person(context.new_page(), f"{google_site.url}/", "Ada")
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url))
    person.page.goto(f"{google_site.url}/#/join/{topic}")
    button = person.page.get_by_role("button", name="Sign in with Google")
    button.wait_for()
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(google_site.url).netloc}
    button.click()

    if lets_in:
        person.see_room("Invited")
        person.say("from Google")
        assert person.page.get_by_role("button", name="Ada of Google").is_visible()
    else:
        person.page.get_by_text("Google did not let you in; please try again.").wait_for()
        assert button.is_enabled()
    back = google.asked["/v1/accounts:signInWithIdp"]
    assert google.asked["/v1/accounts:createAuthUri"] == {
        "providerId": "google.com",
        "continueUri": f"{google_site.url}/",
    }
    assert (back["sessionId"], back["requestUri"]) == (SESSION, f"{google_site.url}/?state={STATE}&code={CODE}")
    # What Google said is no longer in the address bar.
    assert CODE not in person.page.url
    assert person.errors == []
    context.close()
