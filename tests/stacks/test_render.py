"""Plain YAML for those who apply by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.config import ConfigError
from stacks.render import render
from tests.infra.configs import DEV, PASSWORDS, PROD, PROD_GATEWAY_API
from tests.infra.recording import Recording

SEALED = {"secure": "v1:made-up"}
PROD_SEALED: dict[str, object] = {
    **PROD,
    "stampchat:firebaseServiceAccount": SEALED,
    **{f"stampchat:{service}DatabaseUrl": SEALED for service in PASSWORDS},
}


def manifests(values: Mapping[str, object], root: Path) -> list[dict[str, Any]]:
    """Return the objects alone."""
    return [item["manifest"] for item in render("prod", values, root)]


def find(rendered: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """Return the one object of a kind and name."""
    (found,) = [item for item in rendered if item["kind"] == kind and item["metadata"]["name"] == name]
    return found


@pytest.mark.parametrize(("values", "fixture"), [(DEV, "dev"), (PROD, "prod"), (PROD_GATEWAY_API, "prod_gateway_api")])
def test_every_object_of_the_program_is_there_and_nothing_of_the_engine_s(
    values: dict[str, object], fixture: str, checkout: Path, request: pytest.FixtureRequest
) -> None:
    """Annotations that only the engine reads are gone, and so are its names for who manages."""
    recording: Recording = request.getfixturevalue(fixture)

    rendered = manifests(values, checkout)

    assert sorted((item["kind"], item["metadata"]["name"]) for item in rendered) == sorted(
        (recorded.kind, recorded.inputs["metadata"]["name"]) for recorded in recording.objects()
    )
    text = json.dumps(rendered)
    assert "pulumi" not in text
    assert "checksum.stampchat" not in text


def test_the_original_s_order_is_kept(checkout: Path) -> None:
    """What waits comes later, whatever its name; and twice gives the same twice."""
    rendered = render("prod", PROD_SEALED, checkout)

    order = list(dict.fromkeys(item["component"] for item in rendered))
    assert order[0] == "stampchat"
    services = ["stamp-chat-notifications", "stamp-chat-channels", "stamp-chat-auth", "ambassador", "tls"]
    assert [name for name in order if name in services] == services
    assert order.index("secrets") < order.index(services[0])
    assert render("prod", PROD_SEALED, checkout) == rendered


def test_no_secret_is_rendered_not_even_one_that_stands_open(checkout: Path) -> None:
    """Each is a placeholder that says what belongs there."""
    rendered = manifests(PROD, checkout)

    text = json.dumps(rendered)
    assert not [password for password in PASSWORDS.values() if password in text]
    assert "PRIVATE KEY" not in text
    assert find(rendered, "Secret", "auth-stamp-chat-secret")["stringData"] == {
        "database_url": "<auth-stamp-chat-secret database_url>",
        "private_key": "<auth-stamp-chat-secret private_key>",
    }
    assert "data" not in find(rendered, "Secret", "firebase-secret")
    assert find(rendered, "ConfigMap", "token-keys")["data"] == {"replace-by-kid.pem": "<public key of private_key>"}


def test_a_config_that_cannot_be_deployed_is_not_rendered(checkout: Path) -> None:
    """With every problem."""
    with pytest.raises(ConfigError, match="hostname is not set"):
        render("prod", {"stampchat:place": "prod"}, checkout)
