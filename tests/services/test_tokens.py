from __future__ import annotations

import hashlib
import secrets
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.errors import TokenError
from services.settings import Secret, Source
from services.tokens import Signer, Verifier, derive_private_key, encode_public_key, key_id, load_public_keys

USER = {"id": 7, "name": "Ada", "email": None, "picture": None, "identity": "ada_1"}
PRIVATE_KEY = Secret("x" * 64)


def mint(**changes: Any) -> str:
    """Mint a token, good but for the changes; None leaves a claim out, and a moment is seconds from now."""
    now = int(time.time())
    changes |= {name: now + changes[name] for name in ("iat", "exp") if isinstance(changes.get(name), int)}
    claims = {
        **USER,
        "sub": "7",
        "iss": "stampchat-auth",
        "aud": "stampchat",
        "iat": now,
        "exp": now + 60,
        "auth_time": now,
    }
    kid = changes.pop("kid", Signer(PRIVATE_KEY).kid)
    headers = {} if kid is None else {"kid": kid}
    key = changes.pop("key", derive_private_key(PRIVATE_KEY))
    algorithm = changes.pop("alg", "EdDSA")
    claims |= changes
    claims = {name: value for name, value in claims.items() if value is not None or name in {"email", "picture"}}
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


@pytest.fixture
def verifier() -> Verifier:
    """Verify with the one public key."""
    signer = Signer(PRIVATE_KEY)
    return Verifier({signer.kid: signer.public_key})


def test_a_minted_token_verifies(verifier: Verifier) -> None:
    """It carries the user's fields and its session's beginning."""
    now = int(time.time())
    claims = verifier.verify(Signer(PRIVATE_KEY).mint(USER, auth_time=now - 5, expires=now + 60))

    assert (claims.id, claims.name, claims.identity, claims.auth_time) == (7, "Ada", "ada_1", now - 5)
    assert claims.iat >= now


def test_the_key_and_its_id_are_derived_as_the_deployment_derives_them() -> None:
    """The seed is the SHA-256 of the string, the id begins the SHA-256 of the raw public key."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"x" * 64).digest()).public_key()

    assert Signer(PRIVATE_KEY).public_key == key
    assert key_id(key) == hashlib.sha256(key.public_bytes_raw()).hexdigest()[:8]


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"exp": -31},
        {"exp": None},
        {"iat": 600},
        {"iat": None},
        {"sub": None},
        {"id": "7"},
        {"id": None},
        {"identity": None},
        {"auth_time": None},
        {"kid": "00000000"},
        {"kid": None},
        {"key": Ed25519PrivateKey.generate()},
        {"alg": "none", "key": None},
        {"alg": "HS256", "key": encode_public_key(Signer(PRIVATE_KEY).public_key)[27:87]},
    ],
    ids=str,
)
def test_a_token_that_breaks_a_rule_is_refused(verifier: Verifier, changes: dict[str, Any]) -> None:
    """The algorithm is ours and not the header's; issuer, audience, age and shape are checked."""
    with pytest.raises(TokenError):
        verifier.verify(mint(**changes))


@pytest.mark.parametrize("changes", [{"exp": -1}, {"iat": 20}], ids=str)
def test_clocks_may_differ_by_half_a_minute(verifier: Verifier, changes: dict[str, Any]) -> None:
    """Two machines never agree to the second."""
    assert verifier.verify(mint(**changes)).id == 7


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "é.é.é", "e30.e30.e30", "x" * 100_000])
def test_what_is_no_token_is_refused(verifier: Verifier, token: str) -> None:
    """Nothing that a stranger sends is an error of ours."""
    with pytest.raises(TokenError):
        verifier.verify(token)


def test_an_expired_token_says_so(verifier: Verifier) -> None:
    """An app can then log in again without asking why."""
    with pytest.raises(TokenError) as raised:
        verifier.verify(mint(exp=-60))

    assert raised.value.code == "token_expired"


class TestLoadPublicKeys:
    def test_several_keys_verify_while_a_rotation_lasts(self, tmp_path: Path) -> None:
        """Old tokens live out their hour."""
        signers = [Signer(Secret(secrets.token_hex(32))) for _ in range(2)]
        for signer in signers:
            (tmp_path / f"{signer.kid}.pem").write_text(encode_public_key(signer.public_key))
        source = Source({"STAMPCHAT_TOKEN_KEYS_DIR": str(tmp_path)})
        verifier = Verifier(load_public_keys(source))
        source.finish()

        now = int(time.time())
        tokens = [signer.mint(USER, auth_time=now, expires=now + 60) for signer in signers]
        assert [verifier.verify(token).id for token in tokens] == [7, 7]

    @pytest.mark.parametrize("content", ["", "not a key", encode_public_key(Ed25519PrivateKey.generate().public_key())])
    def test_a_file_that_is_not_the_key_of_its_name_is_a_problem(self, tmp_path: Path, content: str) -> None:
        """A swapped or truncated key would refuse everybody later on."""
        (tmp_path / "0123abcd.pem").write_text(content)
        source = Source({"STAMPCHAT_TOKEN_KEYS_DIR": str(tmp_path)})
        load_public_keys(source)

        assert "holds 0123abcd.pem, which is not" in source.problems[0]

    def test_a_folder_without_keys_is_a_problem(self, tmp_path: Path) -> None:
        """Nobody could log in anywhere."""
        source = Source({"STAMPCHAT_TOKEN_KEYS_DIR": str(tmp_path)})
        load_public_keys(source)

        assert "holds no usable" in source.problems[0]
