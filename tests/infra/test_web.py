"""Whether the web page is served, and by which Firebase web config people sign in there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.applications import settings
from infra.catalogue import AUTH, CHAT
from infra.config import ConfigError, validate_stack
from infra.web import FirebaseWeb, WebConfig
from tests.infra.configs import DEV, FIREBASE_WEB, PROD, WITH_PAGE


def with_web(web: dict[str, Any], **changed: str) -> dict[str, str]:
    return {**PROD, **changed, "stampchat:web": json.dumps(web)}


def problems(config: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        validate_stack(config)
    return list(raised.value.problems)


def test_the_page_is_on_in_dev_and_off_in_prod() -> None:
    assert validate_stack(DEV).web == WebConfig(firebase=None)
    assert validate_stack({**DEV, "stampchat:web": '{"enabled": false}'}).web is None
    assert validate_stack(PROD).web is None


def test_prod_has_it_with_a_firebase_config() -> None:
    """Pasted as Firebase's console shows it, with what a page of ours has no use for."""
    firebase = FirebaseWeb(FIREBASE_WEB["apiKey"], FIREBASE_WEB["authDomain"], FIREBASE_WEB["appId"])

    assert validate_stack(WITH_PAGE).web == WebConfig(firebase)
    assert validate_stack(with_web({"enabled": False, "firebase": FIREBASE_WEB})).web is None


def test_all_that_is_wrong_with_it_is_told_at_once() -> None:
    wrong = {"apiKey": "secret", "authDomain": "https://x.example/", "projectId": "another", "appID": "1:2:web:3"}

    told = problems(with_web({"enabled": True, "firebase": wrong, "enable": True}))

    assert [problem.split(" ")[0].removeprefix("stampchat:web.") for problem in told] == [
        "firebase.apiKey",
        "firebase.authDomain",
        "firebase.appId",
        "firebase.projectId",
        "firebase.appID",
        "enable",
    ]
    assert "firebaseProjectId is 'stampchat-test'" in told[3]


def test_a_page_on_which_nobody_could_log_in_is_refused() -> None:
    assert problems(with_web({"enabled": True})) == [
        "stampchat:web.firebase is not set; without it nobody could log in on the page."
    ]


def test_a_firebase_config_without_its_login_is_refused() -> None:
    assert problems({**DEV, "stampchat:web": json.dumps({"firebase": {**FIREBASE_WEB}})}) == [
        "stampchat:web.firebase is for the login google, which this stack has not."
    ]


def test_auth_serves_it_and_chat_lets_its_sockets_in() -> None:
    """Under either name of this machine, and beside the pages that the config allows."""
    dev = validate_stack({**DEV, "stampchat:allowedOrigins": '["https://other.example"]'})
    prod, without = validate_stack(WITH_PAGE), validate_stack(PROD)

    assert settings(AUTH, dev)["STAMPCHAT_WEB_DIR"] == settings(AUTH, prod)["STAMPCHAT_WEB_DIR"] == "/app/web"
    assert settings(AUTH, prod)["STAMPCHAT_WEB_FIREBASE_API_KEY"] == FIREBASE_WEB["apiKey"]
    assert settings(CHAT, dev)["STAMPCHAT_ALLOWED_ORIGINS"].split(",") == [
        "http://127.0.0.1:8080",
        "http://localhost:8080",
        "https://other.example",
    ]
    assert settings(CHAT, prod)["STAMPCHAT_ALLOWED_ORIGINS"] == "https://chat.stampchat.app"
    assert not {"STAMPCHAT_WEB_DIR", "STAMPCHAT_ALLOWED_ORIGINS"} & {*settings(AUTH, without), *settings(CHAT, without)}
