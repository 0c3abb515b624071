"""Mint and verify the session tokens: EdDSA, so that auth alone can mint and everybody can verify."""

from __future__ import annotations

import binascii
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from services.errors import TokenError
from services.settings import Secret, Source

# Fixed here and never read from a token's header (RFC 8725, section 3.1).
ALGORITHM = "EdDSA"
ISSUER = "stampchat-auth"
AUDIENCE = "stampchat"
LIFETIME_SECONDS = 3600
# PyJWT refuses an iat in the future, and two machines' clocks differ a little.
LEEWAY_SECONDS = 30
# Ours are under 1 KiB; what is far longer is not ours and not worth a signature check.
MAX_TOKEN_LENGTH = 8192

# A key that is taken away is believed for so long, at most; a new one is looked for as soon as somebody shows a token
# of it, but not each time that a stranger makes one up.
LOOK_SECONDS = 5.0
LOOK_FOR_UNKNOWN_SECONDS = 1.0

_FROM_URL = bytes.maketrans(b"-_+/=", b"+/???")

# What a date can hold, and a column.
Moment = Annotated[int, msgspec.Meta(ge=0, lt=1 << 36)]
PublicKeys = Mapping[str, Ed25519PublicKey]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claims:
    """Say who a token speaks for.

    Attributes:
        id: the user's row in auth.
        identity: the key that joins the three services.
        name: what the user is called, if anything.
        email: as the provider gave it.
        picture: an address, as the provider gave it.
        auth_time: when the session began; a refresh keeps it.
        iat: when this token was minted.
        exp: when it ends.
    """

    id: Annotated[int, msgspec.Meta(gt=0, lt=1 << 31)]
    identity: Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"\A[^\x00]*\Z")]
    name: str | None
    email: str | None
    picture: str | None
    auth_time: Moment
    iat: Moment
    exp: Moment


def derive_private_key(private_key: Secret) -> Ed25519PrivateKey:
    """Derive the signing key: its seed is the SHA-256 of the generated string."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(private_key.reveal().encode()).digest())


def key_id(key: Ed25519PublicKey) -> str:
    """Return the kid: the first 8 hex digits of the SHA-256 of the raw public key."""
    raw = key.public_bytes_raw()
    return hashlib.sha256(raw).hexdigest()[:8]


def encode_public_key(key: Ed25519PublicKey) -> str:
    """Return the PEM form in which keys are handed to the other services."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode("ascii")


class KeyFolder(Mapping[str, Ed25519PublicKey]):
    """Hold the keys of a folder of <kid>.pem, several while a rotation lasts, and read it again when it has changed.

    Whoever asks for a key looks, which costs a few stat calls every some seconds and needs no task. A change that
    cannot be used is logged, and what was read before stays in use.

    Args:
        folder: where they are; Kubernetes replaces its files by pointing a symbolic link elsewhere.
        clock: seconds that only grow.

    Attributes:
        problems: what was wrong when the folder was read first.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        # Taken before the files are read: what changes meanwhile differs from it at the next look.
        self._state = _state_of(folder)
        self._keys, self.problems = _read_keys(folder)
        self._looked_at = clock()

    def __getitem__(self, kid: str) -> Ed25519PublicKey:
        pause = LOOK_SECONDS if kid in self._keys else LOOK_FOR_UNKNOWN_SECONDS
        if self._clock() >= self._looked_at + pause:
            self._look()
        return self._keys[kid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def _look(self) -> None:
        self._looked_at = self._clock()
        state = _state_of(self._folder)
        if state == self._state:
            return
        self._state = state
        keys, problems = _read_keys(self._folder)
        if problems:
            logger.error("the token keys have changed and are not usable", extra={"fields": {"problems": problems}})
        else:
            self._keys = keys
            logger.info("the token keys have changed", extra={"fields": {"kids": sorted(keys)}})


def load_public_keys(source: Source) -> PublicKeys:
    """Open the folder of public keys."""
    folder = source.folder("TOKEN_KEYS_DIR")
    keys = KeyFolder(folder)
    if folder.is_dir():
        for problem in keys.problems:
            source.problem("TOKEN_KEYS_DIR", problem)
    return keys


def _state_of(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return what differs when a file was replaced or written to."""
    found = []
    with suppress(OSError):
        for path in sorted(folder.glob("*.pem")):
            status = path.stat()
            found.append((path.name, status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def _read_keys(folder: Path) -> tuple[dict[str, Ed25519PublicKey], list[str]]:
    keys: dict[str, Ed25519PublicKey] = {}
    problems = []
    for path in sorted(folder.glob("*.pem")):
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey) or key_id(key) != path.stem:
            problems.append(f"holds {path.name}, which is not the Ed25519 public key of that id")
        else:
            keys[path.stem] = key
    if not keys:
        problems.append(f"names {folder}, which holds no usable <kid>.pem")
    return keys, problems


class Signer:
    """Mint tokens with the one private key.

    Args:
        private_key: the generated string from which the key is derived.
    """

    def __init__(self, private_key: Secret) -> None:
        self._key = derive_private_key(private_key)
        self.public_key = self._key.public_key()
        self.kid = key_id(self.public_key)

    def mint(self, user: Mapping[str, Any], *, auth_time: int, expires: int, now: int | None = None) -> str:
        """Mint one token.

        Args:
            user: id, identity, name, email, picture.
            auth_time: when the session began.
            expires: when the token ends.
            now: the moment of minting; the present unless told.
        """
        claims = {
            **user,
            "sub": str(user["id"]),
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": int(time.time()) if now is None else now,
            "exp": expires,
            "auth_time": auth_time,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"kid": self.kid})


class Judge(Protocol):
    """Verify tokens of one kind."""

    def verify(self, token: str) -> Claims:
        """Return whom a token speaks for, or raise TokenError."""
        ...


class Verifier:
    """Verify tokens with the public keys.

    Args:
        keys: by kid; a KeyFolder follows a rotation.
        legacy: judges what names no key, as the tokens of the system before ours do; else such tokens are refused.
    """

    def __init__(self, keys: PublicKeys, legacy: Judge | None = None) -> None:
        self._keys = keys
        self._legacy = legacy

    def verify(self, token: str) -> Claims:
        """Return whom a token speaks for.

        Raises:
            TokenError: it is not ours, not for us, or over.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenError("The token is too long.")
        try:
            header, signed, signature = _split(token)
            if not header.kid and self._legacy is not None:
                return self._legacy.verify(token)
            key = self._keys.get(header.kid)
            if key is None:
                raise TokenError("The token is signed with a key that is not known here.")
            if header.alg != ALGORITHM or header.crit is not msgspec.UNSET:
                raise TokenError("The token is signed in a way that is not ours.")
            # libsodium: OpenSSL takes nearly twice as long, for what is most of a handshake, and lets weak keys pass.
            VerifyKey(key.public_bytes_raw()).verify(signed, signature)
            payload = _decode(signed.partition(b".")[2])
            _check_terms(_TERMS.decode(payload), time.time())
            return _CLAIMS.decode(payload)
        except BadSignatureError as error:
            raise TokenError("The token's signature is not right.") from error
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise TokenError("The token is not valid.") from error


class _Header(msgspec.Struct):
    alg: str = ""
    kid: str = ""
    # Extensions that a reader must know; we know none (RFC 7515, section 4.1.11).
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Terms(msgspec.Struct):
    """Hold what a token says of itself, beside whom it speaks for; what has another issuer or audience is no such."""

    iss: Literal["stampchat-auth"]
    aud: Literal["stampchat"]
    sub: str
    iat: Moment
    exp: Moment
    nbf: Moment = 0


_HEADER = msgspec.json.Decoder(_Header)
_TERMS = msgspec.json.Decoder(_Terms)
_CLAIMS = msgspec.json.Decoder(Claims)


def _split(token: str) -> tuple[_Header, bytes, bytes]:
    """Return a compact JWS's header, what is signed, and the signature (RFC 7515, section 7.1).

    PyJWT does the same and takes longer for it than the signature's check does, at each handshake. A test holds this
    to its verdict.
    """
    signed, _, signature = token.encode("ascii").rpartition(b".")
    return _HEADER.decode(_decode(signed.partition(b".")[0])), signed, _decode(signature)


def _decode(part: bytes) -> bytes:
    """Read base64url, and nothing that merely resembles it."""
    # What base64url has not becomes what base64 has not either.
    return binascii.a2b_base64(part.translate(_FROM_URL) + b"=="[: -len(part) % 4], strict_mode=True)


def _check_terms(terms: _Terms, now: float) -> None:
    if terms.exp <= now - LEEWAY_SECONDS:
        raise TokenError("The token has expired.", code="token_expired")
    if max(terms.iat, terms.nbf) > now + LEEWAY_SECONDS:
        raise TokenError("The token is not valid yet.")
