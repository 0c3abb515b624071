from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.auth import firebase_keys
from services.auth.app import open_apps
from services.auth.errors import LoginRefused, ProviderUnavailable
from services.auth.firebase import CUSTOM_TOKEN_AUDIENCE, FirebaseVerifier
from services.auth.firebase_keys import (
    DEFAULT_MAX_AGE,
    LEAST_MAX_AGE,
    MOST_MAX_AGE,
    PAUSE_SECONDS,
    STALE_SECONDS,
    FirebaseKeys,
)
from services.auth.settings import AuthSettings
from tests.services.auth.conftest import ChatDouble
from tests.services.conftest import RunService
from tests.services.stand_in import serving

PROJECT = "stampchat-test"
ONE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """Serve real RS256 keys over HTTP, count who asks, and fail or wait when told."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = {"one": ONE_KEY}
        self.fetches = 0
        self.status = 200
        self.cache_control = "public, max-age=600, must-revalidate"
        self.as_certificates = False
        self.strange: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def serve(self, _request: web.Request) -> web.Response:
        """Answer with the key set."""
        self.fetches += 1
        await self.gate.wait()
        if self.as_certificates:
            document: dict[str, Any] = {kid: certificate(key) for kid, key in self.keys.items()}
            return web.json_response(document, status=self.status, headers={"Cache-Control": self.cache_control})
        keys = [
            {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "RS256"}
            for kid, key in self.keys.items()
        ]
        return web.json_response(
            {"keys": [*keys, *self.strange]}, status=self.status, headers={"Cache-Control": self.cache_control}
        )

    def mint(self, *, kid: str = "one", key: Any = ONE_KEY, alg: str = "RS256", **changes: Any) -> str:
        """Mint an ID token; None leaves a claim out, and a moment is seconds from now."""
        now = int(time.time())
        moments = ("iat", "exp", "nbf", "auth_time")
        changes |= {name: now + changes[name] for name in moments if type(changes.get(name)) is int}
        claims = {
            "iss": f"https://securetoken.google.com/{PROJECT}",
            "aud": PROJECT,
            "sub": "firebase-uid",
            "iat": now - 10,
            "exp": now + 3600,
            "auth_time": now - 20,
            "name": "Ada",
            "email": "ada@example.com",
            "picture": "https://example.com/ada.png",
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key, algorithm=alg, headers={"kid": kid} if kid else {})


def certificate(key: rsa.RSAPrivateKey) -> str:
    """Sign a certificate for a key, as Google's older document has them."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "securetoken.system.gserviceaccount.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


class Clock:
    """Be a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """Serve an issuer on a free port."""
    served = Issuer()
    app = web.Application()
    app.router.add_get("/keys", served.serve)
    async with serving(app) as url:
        served.url = f"{url}/keys"
        yield served


@pytest.fixture
def clock() -> Clock:
    """Make a clock."""
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, client: aiohttp.ClientSession, clock: Clock) -> FirebaseKeys:
    """Make an empty key cache."""
    return FirebaseKeys(issuer.url, client, clock=clock)


@pytest.fixture
def verifier(keys: FirebaseKeys) -> FirebaseVerifier:
    """Make a verifier of our project."""
    return FirebaseVerifier(PROJECT, keys)


class TestFirebaseVerifier:
    async def test_a_good_token_says_who_this_is(self, verifier: FirebaseVerifier, issuer: Issuer) -> None:
        """The uid is the token's subject."""
        profile = await verifier(issuer.mint())

        assert (profile.uid, profile.name, profile.email, profile.picture) == (
            "firebase-uid",
            "Ada",
            "ada@example.com",
            "https://example.com/ada.png",
        )

    async def test_a_user_without_a_name_can_log_in(self, verifier: FirebaseVerifier, issuer: Issuer) -> None:
        """What the provider does not know, or what no column holds, is null."""
        profile = await verifier(issuer.mint(name=None, email=None, picture="https://example.com/" + "p" * 300))

        assert (profile.name, profile.email, profile.picture) == (None, None, None)

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "https://securetoken.google.com/other"},
            {"iss": f"https://securetoken.google.com/{PROJECT}/"},
            {"iss": None},
            {"iss": f"https://accounts.google.com/{PROJECT}"},
            {"aud": "other"},
            {"aud": [PROJECT, "other"]},
            {"aud": CUSTOM_TOKEN_AUDIENCE},
            {"aud": None},
            {"sub": ""},
            {"sub": None},
            {"sub": "u" * 129},
            {"sub": 7},
            {"sub": "u\0"},
            {"exp": -31},
            {"nbf": 600},
            {"exp": None},
            {"iat": 600},
            {"iat": None},
            {"auth_time": 600},
            {"auth_time": "yesterday"},
            {"auth_time": True},
            {"auth_time": None},
            {"kid": "unknown"},
            {"kid": ""},
            {"key": OTHER_KEY},
            {"alg": "PS256"},
            {"alg": "RS384"},
            {"alg": "none", "key": None},
            {"alg": "HS256", "key": "a secret that is long enough to be used"},
            {"alg": "ES256", "key": ec.generate_private_key(ec.SECP256R1())},
        ],
        # The same in every process: a key's text is its address.
        ids=lambda changes: str({name: value for name, value in changes.items() if name != "key"} or "another key"),
    )
    async def test_each_rule_of_firebase_is_held(
        self, verifier: FirebaseVerifier, issuer: Issuer, changes: dict[str, Any]
    ) -> None:
        """A token that breaks any one of them is refused."""
        with pytest.raises(LoginRefused):
            await verifier(issuer.mint(**changes))

    @pytest.mark.parametrize("changes", [{"exp": -1}, {"iat": 20}, {"auth_time": 20}, {"sub": "u" * 128}], ids=str)
    async def test_what_is_just_within_the_rules_is_good(
        self, verifier: FirebaseVerifier, issuer: Issuer, changes: dict[str, Any]
    ) -> None:
        """Two machines' clocks differ a little."""
        assert (await verifier(issuer.mint(**changes))).name == "Ada"

    async def test_the_public_key_is_no_secret_to_sign_with(self, verifier: FirebaseVerifier, issuer: Issuer) -> None:
        """HS256 over what everybody can download is the oldest trick."""
        pem = ONE_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        head, claims, _ = issuer.mint().split(".")
        header = json.loads(base64.urlsafe_b64decode(head + "==")) | {"alg": "HS256"}
        signed = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=") + b"." + claims.encode()
        mac = base64.urlsafe_b64encode(hmac.digest(pem, signed, "sha256")).rstrip(b"=")
        with pytest.raises(LoginRefused):
            await verifier((signed + b"." + mac).decode())

    async def test_what_is_wrong_is_said_where_it_helps(self, verifier: FirebaseVerifier, issuer: Issuer) -> None:
        """A custom token was meant to be exchanged, an expired one to be renewed."""
        for changes, code in ({"aud": CUSTOM_TOKEN_AUDIENCE}, "custom_token"), ({"exp": -60}, "token_expired"):
            with pytest.raises(LoginRefused) as raised:
                await verifier(issuer.mint(**changes))
            assert raised.value.code == code

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "." * 100, "e30.e30."])
    async def test_what_is_no_token_is_refused(self, verifier: FirebaseVerifier, token: str) -> None:
        """Nothing that a stranger sends is an error of ours."""
        with pytest.raises(LoginRefused):
            await verifier(token)


class TestFirebaseKeys:
    async def test_keys_are_kept_as_long_as_the_answer_says(
        self, keys: FirebaseKeys, issuer: Issuer, clock: Clock
    ) -> None:
        """max-age decides when they are fetched again."""
        assert await keys.find("one") is not None
        clock.now += 599
        await keys.find("one")
        assert issuer.fetches == 1
        clock.now += 2
        await keys.find("one")
        assert issuer.fetches == 2

    async def test_many_who_wait_share_one_fetch(self, keys: FirebaseKeys, issuer: Issuer) -> None:
        """A hundred logins after a start ask once."""
        issuer.gate.clear()
        waiting = [asyncio.create_task(keys.find("one")) for _ in range(100)]
        await asyncio.sleep(0)
        issuer.gate.set()

        assert all(await asyncio.gather(*waiting))
        assert issuer.fetches == 1

    async def test_a_new_key_is_found_before_the_age_of_the_old_ones(
        self, keys: FirebaseKeys, issuer: Issuer, clock: Clock
    ) -> None:
        """An unknown id is looked for once in a while, and not each time that a stranger makes one up."""
        await keys.find("one")
        issuer.keys["two"] = OTHER_KEY
        assert await keys.find("two") is None
        assert issuer.fetches == 1
        clock.now += PAUSE_SECONDS
        assert await keys.find("two") is not None
        assert [await keys.find(f"made-up-{n}") for n in range(50)] == [None] * 50
        assert issuer.fetches == 2

    async def test_old_keys_serve_for_a_while_when_the_issuer_is_away(
        self, keys: FirebaseKeys, issuer: Issuer, clock: Clock
    ) -> None:
        """Then logins are put off, not refused; they come back with the issuer."""
        await keys.find("one")
        issuer.status = 500
        clock.now += 600 + STALE_SECONDS
        assert await keys.find("one") is not None
        clock.now += 1
        with pytest.raises(ProviderUnavailable):
            await keys.find("one")
        issuer.status = 200
        clock.now += PAUSE_SECONDS
        assert await keys.find("one") is not None

    async def test_a_document_without_keys_does_not_replace_good_ones(
        self, keys: FirebaseKeys, issuer: Issuer, clock: Clock
    ) -> None:
        """An empty answer is a failure like any other."""
        await keys.find("one")
        issuer.keys.clear()
        clock.now += 700
        assert await keys.find("one") is not None

    @pytest.mark.parametrize(
        "strange",
        [
            [{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "AA"}, {"kty": "new", "kid": "n"}],
            [{"kty": "RSA", "kid": "broken", "n": "AQ"}, {"kid": "empty"}, {"no": "kid"}, "text", None, 7],
        ],
        ids=["other kinds", "damaged"],
    )
    async def test_keys_of_another_kind_do_not_hide_the_good_ones(
        self, keys: FirebaseKeys, issuer: Issuer, strange: list[Any]
    ) -> None:
        """The issuer may add some one day."""
        issuer.strange = strange

        assert await keys.find("one") is not None
        assert await keys.find("ed") is None

    async def test_certificates_are_read_as_well(self, verifier: FirebaseVerifier, issuer: Issuer) -> None:
        """Google serves the same keys in that form at another address."""
        issuer.as_certificates = True

        assert (await verifier(issuer.mint())).uid == "firebase-uid"

    @pytest.mark.parametrize(
        ("cache_control", "seconds"),
        [
            ("max-age=21600", 21_600),
            ("public, max-age=0", LEAST_MAX_AGE),
            ("max-age=999999999", MOST_MAX_AGE),
            ("no-cache", DEFAULT_MAX_AGE),
            ("", DEFAULT_MAX_AGE),
            ("max-age=soon", DEFAULT_MAX_AGE),
            ("s-maxage=5, max-age=700", 700),
        ],
    )
    async def test_the_age_has_limits(
        self, keys: FirebaseKeys, issuer: Issuer, clock: Clock, cache_control: str, seconds: int
    ) -> None:
        """Whatever a cache between says, we neither ask each time nor never again."""
        issuer.cache_control = cache_control
        await keys.find("one")
        clock.now += seconds - 1
        await keys.find("one")
        assert issuer.fetches == 1
        clock.now += 1
        await keys.find("one")
        assert issuer.fetches == 2

    async def test_an_issuer_that_hangs_delays_one_login_and_refuses_none(
        self, keys: FirebaseKeys, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Old keys serve; a while later it is asked once more."""
        await keys.find("one")
        issuer.gate.clear()
        monkeypatch.setattr(firebase_keys, "FETCH_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
        clock.now += 700

        assert all(await asyncio.gather(*(keys.find("one") for _ in range(20))))
        assert issuer.fetches == 2
        issuer.gate.set()


async def test_a_google_login_over_http(
    issuer: Issuer, settings: AuthSettings, chat: ChatDouble, run_service: RunService, client: aiohttp.ClientSession
) -> None:
    """The whole way: token, row, chat user; a bad token is a 400; dev is off unless configured."""
    google = replace(settings, logins=("google",), firebase_project_id=PROJECT, firebase_keys_url=issuer.url)
    auth = await run_service(open_apps(google))

    async def log_in(provider: str, token: str) -> tuple[int, dict[str, Any]]:
        async with client.post(f"{auth.public}/login", json={"authProvider": provider, "token": token}) as response:
            return response.status, await response.json()

    status, answer = await log_in("google", issuer.mint())
    assert (status, answer["identity"], answer["email"]) == (200, "ada_firebase-uid", "ada@example.com")
    assert chat.users == [{"name": "Ada", "identity": "ada_firebase-uid"}]
    status, answer = await log_in("google", issuer.mint(key=OTHER_KEY))
    assert (status, answer["error"]["code"]) == (400, "login_refused")
    status, answer = await log_in("dev", "Ada")
    assert (status, answer["error"]["code"]) == (400, "unknown_provider")
