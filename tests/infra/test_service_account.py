"""What a Firebase service account's file must be."""

from __future__ import annotations

import base64
import json

import pytest

from infra.service_account import service_account_problems, service_account_project
from tests.infra.configs import SERVICE_ACCOUNT, make_service_account

HUSH = json.loads(SERVICE_ACCOUNT)["private_key"]


def test_the_consoles_file_is_good() -> None:
    """Whole, and of the project that is asked for."""
    assert service_account_problems(SERVICE_ACCOUNT, "stampchat-test") == []
    assert service_account_project(SERVICE_ACCOUNT) == "stampchat-test"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("not json", "is not JSON"),
        ("[]", "is JSON, but not an object"),
        (base64.b64encode(SERVICE_ACCOUNT.encode()).decode(), "is base64 already"),
        (SERVICE_ACCOUNT[:300], "is JSON that breaks off or is damaged"),
        ('{"apiKey": "x", "authDomain": "y", "projectId": "z"}', "is the web app's config"),
        ('{"project_info": {}, "client": []}', "is google-services.json"),
        ('{"installed": {"client_id": "x"}}', "is an OAuth client's file"),
        ('{"web": {"client_id": "x"}}', "is an OAuth client's file"),
        ('{"type": "authorized_user", "refresh_token": "x", "client_secret": "y"}', "is a person's own credentials"),
        ("{}", "has no type"),
        (make_service_account(private_key=None), "has no private_key"),
        (make_service_account(client_email=7), "has no client_email"),
        (make_service_account(client_email="me@example.org"), "has a client_email that is no service account's"),
        (make_service_account(token_uri="http://oauth2.googleapis.com/token"), "has a token_uri that is no https"),
        (make_service_account(project_id="Bad Project"), "has a project_id that is none"),
        (make_service_account(private_key=HUSH[:200]), "has a private_key that is no PEM key"),
        (make_service_account(private_key=HUSH.replace("\n", "\\n")), "has a private_key whose line breaks"),
    ],
)
def test_every_other_file_is_told_apart(text: str, said: str) -> None:
    """In words that say what it is; what it says is never quoted."""
    found = service_account_problems(text)

    assert [problem for problem in found if problem.startswith(said)]
    assert "BEGIN" not in str(found)


def test_several_problems_are_told_at_once() -> None:
    """One look, one list."""
    found = service_account_problems(make_service_account(client_id=None, token_uri=None, client_email="x"))

    assert len(found) == 3
