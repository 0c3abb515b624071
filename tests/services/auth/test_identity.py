from __future__ import annotations

import pytest

from services.auth.identity import build_identity


@pytest.mark.parametrize(
    ("name", "uid", "expected"),
    [
        ("Ada", "u1", "ada_u1"),
        ("Ada Lovelace", "u1", "adalovelace_u1"),
        ("José_9", "u1", "jos_9_u1"),
        ("日本", "u1", "_u1"),
        ("\u212aelvin", "u1", "kelvin_u1"),
        ("\u0130pek", "u1", "ipek_u1"),
        ("", "u1", "_u1"),
        (None, "u1", "_u1"),
        ("A b-c.d!", "X", "abcd_X"),
    ],
)
def test_identity_is_the_originals(name: str | None, uid: str, expected: str) -> None:
    r"""The name is lower-cased as JavaScript does it and loses JavaScript's ASCII \W."""
    assert build_identity(name, uid) == expected


def test_identity_fits_the_column_of_chat() -> None:
    """A long name is cut, the uid never is."""
    identity = build_identity("n" * 255, "u" * 128)

    assert len(identity) == 255
    assert identity.endswith("n_" + "u" * 128)
