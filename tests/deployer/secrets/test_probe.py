"""A database that is too old for the services is found while asking it for an answer."""

from __future__ import annotations

import socket
from typing import cast

import pytest

from deployer.secrets import probe
from infra.config import DatabaseAddress

ADDRESS = DatabaseAddress("db.cloud", 5432, "stamp_chat", "app", "verify-full")


@pytest.mark.parametrize(
    ("version", "said", "problem"),
    [
        ("15.14 (Debian 15.14-0+deb12u1)", "the password is right; Postgres 15.14 (Debian 15.14-0+deb12u1)", ""),
        ("18beta1", "the password is right; Postgres 18beta1", ""),
        ("", "the password is right", ""),
        ("13.22", "", "is Postgres 13.22, and the services need 15 or later"),
        ("9.6.24", "", "is Postgres 9.6.24, and the services need 15 or later"),
    ],
)
def test_a_version_is_told_and_judged(monkeypatch: pytest.MonkeyPatch, version: str, said: str, problem: str) -> None:
    """A pooler may tell none."""
    monkeypatch.setattr(probe, "log_in", lambda *_: version)

    found = probe._try(cast("socket.socket", None), ADDRESS, "hush")  # type: ignore[arg-type]  # nobody reads it

    assert found.problem == problem
    assert found.said.endswith(said)
