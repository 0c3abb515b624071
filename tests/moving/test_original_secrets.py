"""The original's Secrets, as its cluster hands them out, become ours."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import pytest

from deployer.errors import UsageError
from deployer.secrets.catalogue import AUTH_DATABASE, CHAT_DATABASE, FIREBASE, LEGACY, LEGACY_UNTIL
from deployer.secrets.original import convert_url, read_original
from tests.infra.configs import SERVICE_ACCOUNT

KEY = "8Jk0mPq2sV5yB8eH1kN4qT7wZ0cF3iL6oR9u\n"
NOW = dt.datetime(2026, 11, 24, 15, 0, tzinfo=dt.UTC)


def secret(name: str, **data: str) -> dict[str, Any]:
    """Make a Secret as the API server returns it; `echo … | base64` leaves a line break in a value."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded, "type": "Opaque"}


SECRETS = [
    secret("auth-stamp-chat-secret", database_url="postgres://u:p@auth.db/stamp_chat\n", private_key=KEY),
    secret("channels-stamp-chat-secret", database_url="ecto://u:p@chat.db:6432/stamp_chat\n", secret_key_base="s" * 64),
    secret("notifications-stamp-chat-secret", database_url="postgres://u:p@push.db/stamp_chat?ssl=true\n"),
    secret("firebase-secret", firebase_service_account=SERVICE_ACCOUNT + "\n"),
    secret("somebody-elses", password="hush"),
]
LIST = json.dumps({"apiVersion": "v1", "kind": "List", "items": SECRETS})


def test_each_is_taken_from_where_it_stood() -> None:
    """The databases only when they are adopted where they are; chat's key base is ours and made anew."""
    found = read_original(LIST, databases=True, accept_hours=2, now=NOW)

    assert found.taken == {
        "firebase-service-account": "firebase-secret/firebase_service_account",
        "auth-database-url": "auth-stamp-chat-secret/database_url",
        "chat-database-url": "channels-stamp-chat-secret/database_url",
        "notifications-database-url": "notifications-stamp-chat-secret/database_url",
        "legacy-token-secret": "auth-stamp-chat-secret/private_key",
    }
    assert found.plain == {LEGACY_UNTIL: "2026-11-24T17:00:00Z"}
    for given, value in found.secrets.items():
        assert given.problems(value, "stampchat-test") == [], given.name
    assert found.secrets[CHAT_DATABASE] == "postgresql://u:p@chat.db:6432/stamp_chat?sslmode=verify-full"


def test_the_tokens_key_keeps_its_line_break() -> None:
    """It is a part of what the original signed with."""
    found = read_original(LIST, databases=False, accept_hours=2, now=NOW)

    assert base64.b64decode(found.secrets[LEGACY]).decode() == KEY
    assert set(found.secrets) == {FIREBASE, LEGACY}


def test_documents_and_single_secrets_are_read_as_well() -> None:
    """As the files that were applied, filled in."""
    text = "---\n".join(json.dumps(one) + "\n" for one in SECRETS)

    assert AUTH_DATABASE in read_original(text, databases=True, accept_hours=0).secrets
    assert set(read_original(json.dumps(SECRETS[3]), databases=True, accept_hours=0).secrets) == {FIREBASE}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "None of the original's Secrets"),
        ("{", "neither YAML nor JSON"),
        (json.dumps(SECRETS[4]), "None of the original's Secrets"),
        (json.dumps({**SECRETS[3], "data": {"firebase_service_account": "<BASE64>"}}), "is not the base64"),
    ],
)
def test_what_is_none_of_it_is_refused(text: str, said: str) -> None:
    """The example files as they were published among them."""
    with pytest.raises(UsageError, match=said):
        read_original(text, databases=True, accept_hours=0)


def test_without_the_key_no_tokens_can_be_accepted() -> None:
    """Said so, rather than forgotten."""
    with pytest.raises(UsageError, match="auth-stamp-chat-secret/private_key"):
        read_original(json.dumps(SECRETS[3]), databases=False, accept_hours=1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ecto://u:p@h/d", "postgresql://u:p@h/d?sslmode=verify-full"),
        ("postgres://u:p@h:1/d?sslmode=require&pool_size=5", "postgresql://u:p@h:1/d?sslmode=require"),
        ("postgresql://u:p%3F@h/d?ssl=true", "postgresql://u:p%3F@h/d?sslmode=verify-full"),
        ("mysql://u:p@h/d", "mysql://u:p@h/d"),
    ],
)
def test_an_address_is_written_as_ours_read_it(old: str, new: str) -> None:
    """What it does not know it leaves to the check of addresses."""
    assert convert_url(old) == new
