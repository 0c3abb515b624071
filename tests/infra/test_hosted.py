"""What only a deployment on a managed cluster has, and what of it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.config import ConfigError, HostedConfig, validate_stack
from stacks.program import deploy
from tests.infra.configs import PASSWORDS, PROD, make_authority

OWN_ROLE = "postgresql://owner:hush-owner@chat.db.cloud:5433/stamp_chat?sslmode=require"


def hosted(**changed: Any) -> HostedConfig:
    config = validate_stack({**PROD, **{f"stampchat:{key}": value for key, value in changed.items()}}).hosted
    assert config is not None
    return config


def problems(**changed: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        hosted(**changed)
    return caught.value.problems


def test_nothing_of_it_is_on_unless_it_is_said() -> None:
    """The least config of a managed cluster."""
    found = hosted()

    assert (found.install_platform, found.sockets_per_pod, found.database_ca) == (False, None, "")
    assert (found.max_connections, found.migrate_databases) == (100, {})


def test_each_can_be_said() -> None:
    """As a stack file has it."""
    authority = make_authority()
    found = hosted(
        platform={"install": True},
        autoscaling={"sockets": 4000},
        databaseMaxConnections=400,
        databaseCa=authority,
        chatMigrateDatabaseUrl=OWN_ROLE,
    )

    assert (found.install_platform, found.sockets_per_pod, found.max_connections) == (True, 4000, 400)
    assert found.database_ca == authority.strip()
    assert found.migrate_databases["chat"].reveal() == OWN_ROLE
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"platform": {"install": "maybe"}}, "stampchat:platform.install is 'maybe', not true or false."),
        ({"platform": True}, "stampchat:platform is not a mapping."),
        (
            {"platform": {"instal": True}},
            "stampchat:platform.instal is not a key that this program knows; did you mean install?",
        ),
        ({"autoscaling": {"sockets": 0}}, "stampchat:autoscaling.sockets is 0, not between 1 and 1000000."),
        ({"databaseMaxConnections": 10}, "stampchat:databaseMaxConnections is 10, not between 11 and 1000000."),
        ({"databaseCa": "what"}, "stampchat:databaseCa is no certificate in PEM"),
        ({"databaseCa": "-----BEGIN PRIVATE KEY-----"}, "stampchat:databaseCa holds a private key"),
        ({"chatMigrateDatabaseUrl": "postgresql://u:p@h/d"}, "stampchat:chatMigrateDatabaseUrl does not ask for TLS"),
        (
            {"chatDatabaseUrl": "postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem"},
            "stampchat:chatDatabaseUrl names an authority's file that no pod has",
        ),
        ({"databasePoolSize": 9}, "stampchat:databasePoolSize is 9, so chat may open 11 pods x 9 + 11 on which"),
        ({"maxReplicas": 11}, "stampchat:databasePoolSize is 7, so chat may open 12 pods x 7 + 12 on which"),
        ({"otlpEndpoint": "collector:4318"}, "stampchat:otlpEndpoint is 'collector:4318', not an address such as"),
        ({"otlpEndpoint": "http://collector:4318"}, "stampchat:otlpEndpoint is 'http://collector:4318'; name the"),
        ({"otlpEndpoint": "https://me:hush@otel.io"}, "stampchat:otlpEndpoint is 'https://…@otel.io', not an address"),
        ({"hostnme": "a.b", "hostname": None}, "stampchat:hostnme is not a key that stack place prod knows; did you"),
        ({"nodePort": 1}, "stampchat:nodePort is not a key that stack place prod knows."),
    ],
)
def test_what_is_refused(changed: dict[str, Any], said: str) -> None:
    """Each with its key's path, and no secret."""
    found = problems(**changed)

    assert [problem for problem in found if problem.startswith(said)], found
    assert "hush" not in str(found)


def test_the_mounted_authoritys_own_path_may_be_named() -> None:
    """What we would add ourselves does no harm, and neither do the public authorities by name."""
    url = "postgresql://u:p@h/d?sslmode=verify-full&sslrootcert="

    hosted(databaseCa=make_authority(), chatDatabaseUrl=f"{url}/run/stampchat/database-ca/ca.pem")
    hosted(chatDatabaseUrl=f"{url}system")


def test_everything_wrong_is_told_at_once_by_the_program(tmp_path: Path) -> None:
    """Name, login, tag, replicas, issuer, pools, a missing secret, wrong keys and types: in one text."""
    (tmp_path / "images.json").write_text(json.dumps({"services": "registry.net/stampchat/services:latest"}))
    wrong = {
        **PROD,
        "stampchat:imagesFile": "images.json",
        "stampchat:hostname": "chat.example.com",
        "stampchat:acme": json.dumps({"server": "http://acme.internal/directory", "email": "nobody"}),
        "stampchat:login": '["dev"]',
        "stampchat:replicas": "1",
        "stampchat:maxReplicas": "40",
        "stampchat:databasePoolSize": "20",
        "stampchat:pushes": "fcm",
        "stampchat:gateway": json.dumps({"kind": "istio"}),
        "stampchart:logLevel": "info",
        "stampchat:logLevel": "loud",
        "stampchat:chatDatabaseUrl": f"postgresql://app:{PASSWORDS['chat']}@chat.db.cloud",
        "stampchat:context": "",
        "stampchat:bus": json.dumps({"kind": "local"}),
        "stampchat:busUrl": f"nats://chat:{PASSWORDS['chat']}@nats.messaging.svc",
    }
    del wrong["stampchat:authDatabaseUrl"]
    pulumi.runtime.set_all_config(dict(wrong))

    with pytest.raises(pulumi.RunError) as caught:
        deploy(tmp_path)

    said = str(caught.value)
    for part in (
        "stampchart:logLevel is not a key that this program knows; did you mean stampchat:logLevel?",
        "stampchat:hostname is 'chat.example.com', a name that nobody can own",
        "stampchat:acme.email is 'nobody', not an e-mail address",
        "stampchat:acme.server is 'http://acme.internal/directory'",
        "stampchat:login holds dev, which lets anybody be anybody",
        "stampchat:replicas is 1, not between 2 and 100",
        "stampchat:databasePoolSize is 20, so auth may open 41 pods x 20 = 820 connections",
        "stampchat:bus.kind is local, by which one pod tells no other",
        "stampchat:busUrl is for bus.kind nats, or for a hosted database past its pooler",
        "stampchat:pushes is not a key that stack place prod knows",
        "stampchat:gateway.kind is 'istio', not one of ambassador, gateway-api",
        "stampchat:logLevel is 'loud', not one of debug, info, warning, error",
        "stampchat:chatDatabaseUrl names no database after its host",
        "stampchat:chatDatabaseUrl does not ask for TLS",
        "stampchat:authDatabaseUrl is not set",
        "stampchat:context is not a word",
        "it names the tag 'latest', which can come to mean another image",
    ):
        assert part in said, said
    assert not any(password in said for password in PASSWORDS.values())
