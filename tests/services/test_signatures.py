"""Hold libsodium, which checks the tokens, to OpenSSL's verdict where the two could differ (RFC 8032, section 8.4)."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

SEED, SIGNED = b"s" * 32, b"head.body"
# edwards25519: RFC 8032, section 5.1.
FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, FIELD) % FIELD
PRIVATE = Ed25519PrivateKey.from_private_bytes(SEED)
PUBLIC = PRIVATE.public_key().public_bytes_raw()
# The private key as a number.
SCALAR = int.from_bytes(hashlib.sha512(SEED).digest()[:32], "little") & (1 << 254) - 8 | 1 << 254


def add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Add two points."""
    (x1, y1), (x2, y2) = one, other
    both = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + both, -1, FIELD) % FIELD,
        (y1 * y2 + x1 * x2) * pow(1 - both, -1, FIELD) % FIELD,
    )


def multiply(times: int, point: tuple[int, int]) -> tuple[int, int]:
    """Add a point to itself so many times."""
    total = (0, 1)
    while times:
        if times & 1:
            total = add(total, point)
        point, times = add(point, point), times >> 1
    return total


def encode(point: tuple[int, int]) -> bytes:
    """Write a point."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(written: str) -> tuple[int, int]:
    """Read a point in hex."""
    number = int.from_bytes(bytes.fromhex(written), "little")
    sign, y = number >> 255, number % 2**255
    square = (y * y - 1) * pow(D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    return (x if x & 1 == sign else FIELD - x), y


BASE = decode("58" + "66" * 31)
# Of order 8: its multiples are all points of small order.
SMALL = decode("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")


def sign(point: bytes, *, nonce: int, public: bytes = PUBLIC) -> bytes:
    """Sign with any first half, as if it were written for a nonce, and for any public key."""
    digest = hashlib.sha512(point + public + SIGNED).digest()
    return point + ((nonce + int.from_bytes(digest, "little") * SCALAR) % ORDER).to_bytes(32, "little")


def judge(key: bytes, signature: bytes) -> tuple[bool, bool]:
    """Return what libsodium, and what OpenSSL, says of a signature."""
    verdicts = []
    for verify in (
        lambda: VerifyKey(key).verify(SIGNED, signature),
        lambda: Ed25519PublicKey.from_public_bytes(key).verify(signature, SIGNED),
    ):
        try:
            verify()
        except (BadSignatureError, InvalidSignature, ValueError):
            verdicts.append(False)
        else:
            verdicts.append(True)
    return verdicts[0], verdicts[1]


def test_a_signature_is_good_in_one_writing() -> None:
    """Neither with a larger scalar, nor with bytes more or less, nor with a point written beyond the field."""
    good = PRIVATE.sign(SIGNED)
    larger = int.from_bytes(good[32:], "little") + ORDER
    beyond = (FIELD + 1).to_bytes(32, "little")

    assert judge(PUBLIC, good) == (True, True)
    assert judge(PUBLIC, good[:32] + larger.to_bytes(32, "little")) == (False, False)
    assert judge(PUBLIC, good + b"x") == (False, False)
    assert judge(PUBLIC, good[:-1]) == (False, False)
    assert judge(PUBLIC, sign(beyond, nonce=0)) == (False, False)


@pytest.mark.parametrize("times", [1, 2, 4])
def test_what_is_good_but_for_a_point_of_small_order_is_judged_alike(times: int) -> None:
    """A check that multiplies such points away would take what another refuses."""
    nonce, twist = 12345678901234567890, multiply(times, SMALL)
    mixed = encode(add(multiply(nonce, BASE), twist))
    twisted = encode(add(multiply(SCALAR, BASE), twist))

    assert judge(PUBLIC, sign(mixed, nonce=nonce)) == (False, False)
    libsodium, openssl = judge(twisted, sign(encode(multiply(nonce, BASE)), nonce=nonce, public=twisted))
    assert libsodium == openssl


def test_a_weak_key_verifies_nothing_here() -> None:
    """OpenSSL lets some signatures of zeros pass, which anybody can write."""
    weak = [encode(multiply(times, SMALL)) for times in range(8)]

    assert {judge(key, point + bytes(32)) for key in weak for point in weak} == {(False, False), (False, True)}
