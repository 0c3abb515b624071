"""Tokens that the original signed: good for a while, and a way in for nobody else."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.errors import SettingsError, TokenError
from services.legacy_tokens import LegacyTokens, load_legacy_tokens
from services.settings import Secret, Source
from services.tokens import Signer, Verifier, derive_private_key, encode_public_key

# As `echo … | base64` leaves it, which the original's own example does: with a line break.
SECRET = b"8Jk0mPq2sV5yB8eH1kN4qT7wZ0cF3iL6oR9u\n"
OURS = Signer(Secret("x" * 64))
PUBLIC = encode_public_key(OURS.public_key)


def legacy(
    key: Any = SECRET, *, alg: str | None = "HS256", headers: dict[str, Any] | None = None, **changes: Any
) -> str:
    """Sign as the original's jsonwebtoken does; None leaves a claim out, and a moment is seconds from now."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "id": 7, "uid": "u1", "name": "Ada", "email": "ada@example.com", "picture": None, "identity": "ada_u1",
        "sub": "7", "iat": now - 60, "exp": now + 3540,
    }  # fmt: skip
    moments = {name: now + changes.pop(name) for name in ("iat", "exp") if isinstance(changes.get(name), int)}
    claims |= changes | moments
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm=alg, headers=headers)


def unsigned(header: dict[str, Any]) -> str:
    """Replace a good token's header and leave its signature as it was."""
    _, payload, signature = legacy().split(".")
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{encoded}.{payload}.{signature}"


@pytest.fixture
def verifier() -> Verifier:
    """Take both kinds."""
    return Verifier({OURS.kid: OURS.public_key}, LegacyTokens(SECRET, time.time() + 3600))


def test_an_old_token_says_who_it_is(verifier: Verifier) -> None:
    """With the fields that its user has, and a session that began when it was minted."""
    claims = verifier.verify(legacy())

    assert (claims.id, claims.identity, claims.name, claims.email) == (7, "ada_u1", "Ada", "ada@example.com")
    assert claims.auth_time == claims.iat


def test_ours_are_taken_beside_it(verifier: Verifier) -> None:
    """The setting adds, and takes nothing away."""
    now = int(time.time())
    user = {"id": 8, "name": None, "email": None, "picture": None, "identity": "_u2"}

    assert verifier.verify(OURS.mint(user, auth_time=now, expires=now + 60)).id == 8


def test_without_the_setting_an_old_token_is_refused() -> None:
    """As ever."""
    with pytest.raises(TokenError):
        Verifier({OURS.kid: OURS.public_key}).verify(legacy())


def test_it_ends_at_its_moment() -> None:
    """To the second, in a process that goes on running; an app is told as of any token that is over."""
    now = [1000.0 + time.time()]
    verifier = Verifier({}, LegacyTokens(SECRET, now[0], clock=lambda: now[0]))
    token = legacy()
    now[0] -= 1
    assert verifier.verify(token).id == 7

    now[0] += 1
    with pytest.raises(TokenError) as refused:
        verifier.verify(token)
    assert refused.value.code == "token_expired"


ATTACKS = {
    "no signature": legacy(None, alg="none"),
    "none, in the header alone": unsigned({"alg": "none", "typ": "JWT"}),
    "another secret": legacy(b"another secret, of thirty-two bytes."),
    "the secret without its line break": legacy(SECRET.strip()),
    "HS512 under the secret": legacy(alg="HS512", key=SECRET * 2),
    "HS384 in the header alone": unsigned({"alg": "HS384", "typ": "JWT"}),
    "EdDSA in the header alone": unsigned({"alg": "EdDSA", "typ": "JWT"}),
    "our key, without its id": legacy(derive_private_key(Secret("x" * 64)), alg="EdDSA"),
    "HS256 under the bytes of our public key": legacy(OURS.public_key.public_bytes_raw()),
    "HS256 under our key's text": legacy(PUBLIC.splitlines()[1].encode()),
    "HS256 that names our key": legacy(headers={"kid": OURS.kid}),
    "HS256 that names another key": legacy(headers={"kid": "00000000"}),
    "RS256": legacy(rsa.generate_private_key(public_exponent=65537, key_size=2048), alg="RS256"),
    "ES256": legacy(ec.generate_private_key(ec.SECP256R1()), alg="ES256"),
    "EdDSA of a stranger": legacy(Ed25519PrivateKey.generate(), alg="EdDSA"),
    "a key brought along": legacy(b"k" * 32, headers={"jwk": {"kty": "oct", "k": "a2tr"}}),
    "over": legacy(iat=-3700, exp=-100),
    "no end": legacy(exp=None),
    "no beginning": legacy(iat=None),
    "a life of two hours": legacy(iat=-3600, exp=3600),
    "from tomorrow": legacy(iat=86400, exp=86400 + 60),
    "no subject": legacy(sub=None),
    "of two people": legacy(sub="8"),
    # The original's first login of a user knew neither id nor uid.
    "of nobody": legacy(id=None, uid=None, sub="undefined", identity="ada_undefined"),
    "no identity": legacy(identity=None),
    "an id as text": legacy(id="7"),
    "not a number": legacy(id=-7, sub="-7"),
}


@pytest.mark.parametrize("token", ATTACKS.values(), ids=ATTACKS.keys())
def test_whatever_else_is_refused(verifier: Verifier, token: str) -> None:
    """Key and algorithm belong together, whatever a header says."""
    with pytest.raises(TokenError):
        verifier.verify(token)


def test_every_broken_byte_is_refused(verifier: Verifier) -> None:
    """No part of a token goes unread."""
    token = legacy()
    for place in range(0, len(token) - 1, 7):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(TokenError):
            verifier.verify(token[:place] + other + token[place + 1 :])


class TestLoadLegacyTokens:
    def load(self, folder: Path, content: bytes | str, until: str | float) -> LegacyTokens | None:
        """Read the settings as a service does."""
        path = folder / "secret"
        path.write_text(content if isinstance(content, str) else base64.b64encode(content).decode())
        if not isinstance(until, str):
            until = datetime.fromtimestamp(time.time() + until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        source = Source({"STAMPCHAT_LEGACY_TOKEN_SECRET_FILE": str(path), "STAMPCHAT_LEGACY_UNTIL": until})
        loaded = load_legacy_tokens(source)
        source.finish()
        return loaded

    def test_secret_and_moment_are_taken(self, tmp_path: Path) -> None:
        """Byte for byte."""
        loaded = self.load(tmp_path, SECRET, 3600)

        assert loaded is not None
        assert loaded.verify(legacy()).id == 7

    def test_a_moment_that_is_past_turns_it_off(self, tmp_path: Path) -> None:
        """A pod that starts again the day after comes up."""
        assert self.load(tmp_path, SECRET, -60) is None

    @pytest.mark.parametrize(
        ("content", "until", "problem"),
        [
            (SECRET, 25 * 3600, "more than 24 hours ahead"),
            (SECRET, "", "is not set"),
            (SECRET, "tomorrow", "not a moment"),
            (SECRET, "2026-11-24 18:00", "not a moment"),
            (b"super_secret_key!", 60, "found by trying"),
            (b"abc123abc1232", 60, "found by trying"),
            ("not base64!", 60, "is not the base64"),
            ("", 60, "at least 1 are needed"),
            (PUBLIC.encode(), 60, "a key of another algorithm"),
        ],
    )
    def test_what_would_open_a_door_stops_the_start(
        self, tmp_path: Path, content: bytes | str, until: str | float, problem: str
    ) -> None:
        """And what is said about it quotes nothing of the secret."""
        with pytest.raises(SettingsError) as refused:
            self.load(tmp_path, content, until)

        assert problem in str(refused.value)
        assert "super" not in str(refused.value)

    def test_nothing_is_asked_for_where_nothing_is_set(self) -> None:
        """The usual deployment."""
        source = Source({})

        assert load_legacy_tokens(source) is None
        source.finish()
