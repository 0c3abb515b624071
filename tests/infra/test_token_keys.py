"""The public token keys: derived here and in the services alike."""

from __future__ import annotations

from infra.token_keys import public_key, token_keys
from services.settings import Secret
from services.tokens import derive_private_key, encode_public_key, key_id


def test_both_sides_derive_the_same_key_and_id() -> None:
    """Otherwise nobody could verify what auth signs."""
    kid, pem = public_key("a made-up private key of any length")
    theirs = derive_private_key(Secret("a made-up private key of any length")).public_key()

    assert (kid, pem) == (key_id(theirs), encode_public_key(theirs))


def test_a_rotation_publishes_every_key() -> None:
    """Old tokens live out their hour."""
    files = token_keys(["first", "second"])

    assert files == {f"{kid}.pem": pem for kid, pem in (public_key("first"), public_key("second"))}
    assert len(files) == 2
