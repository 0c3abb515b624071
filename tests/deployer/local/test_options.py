from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deployer.errors import UsageError
from deployer.local.options import LocalOptions, load_firebase


def account(tmp_path: Path, **changes: object) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    content = {
        "type": "service_account",
        "project_id": "stamp-chat",
        "private_key_id": "1",
        "private_key": pem,
        "client_email": "push@stamp-chat.iam.gserviceaccount.com",
        "client_id": "2",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    path = tmp_path / "account.json"
    path.write_text(json.dumps(content | changes))
    return path


def test_without_firebase_people_log_in_by_name() -> None:
    firebase = load_firebase(LocalOptions())

    assert (firebase.logins, firebase.service_account) == ("dev", None)


def test_a_project_alone_adds_its_login_and_no_pushes() -> None:
    firebase = load_firebase(LocalOptions(project_id="stamp-chat"))

    assert (firebase.logins, firebase.project_id, firebase.service_account) == ("dev,google", "stamp-chat", None)


def test_a_service_account_names_its_project(tmp_path: Path) -> None:
    path = account(tmp_path)

    firebase = load_firebase(LocalOptions(firebase=path))

    assert (firebase.logins, firebase.project_id, firebase.service_account) == ("dev,google", "stamp-chat", path)


@pytest.mark.parametrize(
    ("changes", "project", "said"),
    [
        ({"type": "authorized_user"}, "", "authorized_user"),
        ({}, "another-one", "another-one"),
        ({"private_key": "secret words"}, "", "private_key"),
    ],
)
def test_a_file_of_another_kind_or_project_is_refused_and_not_quoted(
    tmp_path: Path, changes: dict[str, object], project: str, said: str
) -> None:
    with pytest.raises(UsageError, match="cannot be used as the Firebase service account") as caught:
        load_firebase(LocalOptions(firebase=account(tmp_path, **changes), project_id=project))

    assert said in caught.value.said
    assert "secret words" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, reason in (("gone.json", "No such file"), ("binary", "not text")):
        with pytest.raises(UsageError, match=reason):
            load_firebase(LocalOptions(firebase=tmp_path / name))
