from __future__ import annotations

import hashlib
import secrets
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from services.errors import TokenError
from services.settings import Secret, Source
from services.tokens import (
    LOOK_FOR_UNKNOWN_SECONDS,
    LOOK_SECONDS,
    KeyFolder,
    Signer,
    Verifier,
    derive_private_key,
    encode_public_key,
    key_id,
    load_public_keys,
)

USER = {"id": 7, "name": "Ada", "email": None, "picture": None, "identity": "ada_1"}
PRIVATE_KEY = Secret("x" * 64)


def mint(**changes: Any) -> str:
    """Mint a token, good but for the changes; None leaves a claim out, and a moment is seconds from now."""
    now = int(time.time())
    moments = ("iat", "exp", "nbf")
    changes |= {name: now + changes[name] for name in moments if isinstance(changes.get(name), int)}
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
        {"nbf": 600},
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
    # The same in every process: a key's text is its address.
    ids=lambda changes: str({name: value for name, value in changes.items() if name != "key"} or "another key"),
)
def test_a_token_that_breaks_a_rule_is_refused(verifier: Verifier, changes: dict[str, Any]) -> None:
    """The algorithm is ours and not the header's; issuer, audience, age and shape are checked."""
    with pytest.raises(TokenError):
        verifier.verify(mint(**changes))


@pytest.mark.parametrize("changes", [{"exp": -1}, {"iat": 20}, {"nbf": 20}], ids=str)
def test_clocks_may_differ_by_half_a_minute(verifier: Verifier, changes: dict[str, Any]) -> None:
    """Two machines never agree to the second."""
    assert verifier.verify(mint(**changes)).id == 7


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "é.é.é", "e30.e30.e30", "x" * 100_000])
def test_what_is_no_token_is_refused(verifier: Verifier, token: str) -> None:
    """Nothing that a stranger sends is an error of ours."""
    with pytest.raises(TokenError):
        verifier.verify(token)


@pytest.mark.parametrize(
    "form",
    [
        "{head}.{body}.{sign}=",
        "{head}.{body}.{sign:.40} {sign}",
        "{head}.{body}.{sign:.85}+",
        "{head}.{body}.",
        "{head}.{body}.{sign}.{sign}",
        "{head}..{body}.{sign}",
        ".{body}.{sign}",
        "{head}.{sign}",
    ],
)
def test_a_token_in_another_writing_is_refused(verifier: Verifier, form: str) -> None:
    """Each good token is written in one way."""
    head, body, sign = mint().split(".")

    with pytest.raises(TokenError):
        verifier.verify(form.format(head=head, body=body, sign=sign))


def test_an_extension_that_must_be_known_is_refused(verifier: Verifier) -> None:
    """None is known here (RFC 7515, section 4.1.11)."""
    token = jwt.encode(
        {**USER, "sub": "7", "iss": "stampchat-auth", "aud": "stampchat", "iat": 1, "exp": 1 << 33, "auth_time": 1},
        derive_private_key(PRIVATE_KEY),
        algorithm="EdDSA",
        headers={"kid": Signer(PRIVATE_KEY).kid, "crit": ["tomorrow"], "tomorrow": 1},
    )

    with pytest.raises(TokenError):
        verifier.verify(token)


@given(at=st.integers(0, 400), text=st.text("".join(map(chr, range(32, 127))), max_size=3), cut=st.integers(0, 3))
def test_nothing_is_good_that_a_library_refuses(at: int, text: str, cut: int) -> None:
    """Whatever somebody makes of a good token: PyJWT, told of the same rules, has the same verdict or a milder one."""
    signer, token = Signer(PRIVATE_KEY), mint()
    changed = token[:at] + text + token[at + cut :]
    verifier = Verifier({signer.kid: signer.public_key})

    try:
        claims = verifier.verify(changed)
    except TokenError:
        assert changed != token
        return
    payload = jwt.decode(
        changed, signer.public_key, algorithms=["EdDSA"], audience="stampchat", issuer="stampchat-auth", leeway=30
    )
    assert (claims.id, claims.identity, claims.exp) == (payload["id"], payload["identity"], payload["exp"])


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


class TestKeyFolder:
    @pytest.fixture
    def signers(self) -> list[Signer]:
        """Make two generations of the key."""
        return [Signer(Secret(secrets.token_hex(32))) for _ in range(2)]

    @pytest.fixture
    def mounted(self, tmp_path: Path) -> Mounted:
        """Mount an empty folder."""
        return Mounted(tmp_path)

    def test_a_new_key_is_known_at_once_and_an_old_one_until_it_is_taken_away(
        self, mounted: Mounted, signers: list[Signer]
    ) -> None:
        """No restart; tokens of both are good as long as both are there."""
        old, new = signers
        mounted.swap(old)
        folder = KeyFolder(mounted.folder, clock=mounted.clock)
        verifier = Verifier(folder)
        now = int(time.time())
        tokens = [signer.mint(USER, auth_time=now, expires=now + 60) for signer in signers]
        assert [self.is_good(verifier, token) for token in tokens] == [True, False]

        mounted.swap(old, new)
        mounted.now += LOOK_FOR_UNKNOWN_SECONDS
        assert [self.is_good(verifier, token) for token in tokens] == [True, True]

        mounted.swap(new)
        assert self.is_good(verifier, tokens[0])
        mounted.now += LOOK_SECONDS
        assert [self.is_good(verifier, token) for token in tokens] == [False, True]
        assert (list(folder), len(folder)) == ([new.kid], 1)

    @staticmethod
    def is_good(verifier: Verifier, token: str) -> bool:
        """Say whether it verifies."""
        try:
            return verifier.verify(token).id == 7
        except TokenError:
            return False

    @pytest.mark.parametrize("damage", ["not a key", "", None])
    def test_a_change_that_cannot_be_used_is_logged_once_and_changes_nothing(
        self, mounted: Mounted, signers: list[Signer], caplog: pytest.LogCaptureFixture, damage: str | None
    ) -> None:
        """Whoever is logged in stays so while somebody repairs it."""
        old, new = signers
        mounted.swap(old)
        folder = KeyFolder(mounted.folder, clock=mounted.clock)
        mounted.swap()
        if damage is not None:
            (mounted.folder / f"{new.kid}.pem").write_text(damage)

        for _ in range(3):
            mounted.now += LOOK_SECONDS
            assert folder[old.kid] == old.public_key
        assert [record.message for record in caplog.records] == ["the token keys have changed and are not usable"]

        mounted.swap(new)
        mounted.now += LOOK_SECONDS
        assert folder[new.kid] == new.public_key

    def test_made_up_ids_do_not_make_it_look_each_time(
        self, mounted: Mounted, signers: list[Signer], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stranger's tokens cost nothing."""
        mounted.swap(signers[0])
        folder = KeyFolder(mounted.folder, clock=mounted.clock)
        looks = []
        monkeypatch.setattr("services.tokens._state_of", lambda _folder: looks.append(1))
        monkeypatch.setattr("services.tokens._read_keys", lambda _folder: ({}, ["none"]))
        mounted.now += LOOK_FOR_UNKNOWN_SECONDS

        assert [folder.get(f"{n:08}") for n in range(100)] == [None] * 100
        assert len(looks) == 1


class Mounted:
    """Be a folder as Kubernetes mounts it, whose files change all at once, and a clock.

    Args:
        parent: where it goes.
    """

    def __init__(self, parent: Path) -> None:
        self.folder = parent / "keys"
        self.folder.mkdir()
        self.now = 100.0
        self._generation = 0

    def clock(self) -> float:
        """Return the moment."""
        return self.now

    def swap(self, *signers: Signer) -> None:
        """Replace all files by those of some signers."""
        self._generation += 1
        data = self.folder / f"..{self._generation}"
        data.mkdir()
        for signer in signers:
            (data / f"{signer.kid}.pem").write_text(encode_public_key(signer.public_key))
        link = self.folder / "..data_tmp"
        link.symlink_to(data.name)
        link.rename(self.folder / "..data")
        for path in self.folder.glob("*.pem"):
            path.unlink()
        for signer in signers:
            (self.folder / f"{signer.kid}.pem").symlink_to(f"..data/{signer.kid}.pem")
