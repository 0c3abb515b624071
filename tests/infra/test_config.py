"""A stack's config: what it becomes, and what is refused, all at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.config import ConfigError, validate_stack
from tests.infra.configs import DEV, PASSWORDS, PROD, make_service_account

ROOT = Path(__file__).resolve().parents[2]
SEALED = {"secure": "v1:abcdefgh:ijklmnop"}


def problems(values: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        validate_stack(values)
    return caught.value.problems


def tracked(stack: str) -> dict[str, Any]:
    loaded = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))
    return dict(loaded["config"])


def test_the_least_dev_config_gets_defaults() -> None:
    """One key says what kind of deployment it is; everything else has a default."""
    config = validate_stack(DEV)

    assert (config.url, config.login, config.push) == ("http://127.0.0.1:8080", ("dev",), "off")
    assert config.cluster.kubeconfig == ".stampchat/cluster/kubeconfig"
    assert config.cluster.context is None
    assert config.hosted is None


def test_the_tracked_dev_config_is_good() -> None:
    """Plain `pulumi up -s dev` in a checkout starts from it."""
    assert validate_stack(tracked("dev")).replicas == 1


def test_the_tracked_prod_config_lacks_exactly_what_only_the_user_has() -> None:
    """Everything else in the file is good as it is."""
    missing = {problem.split()[0].removeprefix("stampchat:") for problem in problems(tracked("prod"))}

    assert missing == {
        "context", "hostname", "acme.email", "authDatabaseUrl", "chatDatabaseUrl", "notificationsDatabaseUrl",
        "firebaseProjectId", "firebaseServiceAccount",
    }  # fmt: skip


def test_the_tracked_prod_config_with_what_the_user_has_is_good() -> None:
    """Secrets may still be encrypted when the file is checked."""
    values = tracked("prod")
    values["stampchat:acme"]["email"] = "ops@stampchat.app"
    values |= {"stampchat:context": "managed", "stampchat:hostname": "chat.stampchat.app"}
    values |= {"stampchat:firebaseProjectId": "stampchat-test", "stampchat:firebaseServiceAccount": SEALED}
    values |= {f"stampchat:{name}DatabaseUrl": SEALED for name in PASSWORDS}

    config = validate_stack(values)

    assert config.hosted is not None
    assert all(url.sealed for url in config.hosted.databases.values())


def test_the_tracked_prod_config_documents_every_key() -> None:
    """Datasette's rule: a setting that is not documented fails a test."""
    text = (ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8")
    dev_only = {"url"}
    keys = {key.removeprefix("stampchat:") for key in PROD} | {
        "kubeconfig", "imagesFile", "allowedOrigins", "logLevel", "replicas", "maxReplicas", "signingKeys", "gateway",
        "internalCredentials", "secretKeyBases", "databasePoolSize", "databaseMaxConnections", "databaseCa",
        "authMigrateDatabaseUrl", "otlpEndpoint", "platform", "autoscaling", "bus", "busUrl",
    }  # fmt: skip

    assert {key for key in keys - dev_only if f"stampchat:{key}" not in text} == set()


def test_the_engines_strings_and_a_files_values_mean_the_same() -> None:
    """The engine hands structures over as JSON text."""
    values = {**DEV, "stampchat:login": ["dev"], "stampchat:replicas": 2, "stampchat:gateway": {"nodePort": 30081}}
    strings = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}

    assert validate_stack(strings) == validate_stack(values)


def test_off_is_off_to_a_reader_of_either_yaml() -> None:
    """YAML 1.1 takes a bare off for false, YAML 1.2 for a word."""
    assert validate_stack({**DEV, "stampchat:push": False}).push == "off"


def test_every_problem_is_in_one_report() -> None:
    """Nobody should have to fix one to see the next."""
    found = problems(
        {
            **DEV,
            "stampchat:login": ["github"],
            "stampchat:push": "pigeon",
            "stampchat:replicas": "many",
            "stampchat:gateway": {"nodePort": 80, "colour": "red"},
            "stampchat:replica": 3,
            "kubernetes:context": "other",
        }
    )

    assert [problem.split()[0] for problem in found] == [
        "kubernetes:context",
        "stampchat:login",
        "stampchat:push",
        "stampchat:replicas",
        "stampchat:gateway.nodePort",
        "stampchat:gateway.colour",
        "stampchat:replica",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stampchat:place": "moon"}, "stampchat:place is 'moon', not one of dev, prod."),
        ({"stampchat:replicas": 0}, "stampchat:replicas is 0, not between 1 and 100."),
        ({"stampchat:replicas": True}, "stampchat:replicas is True, not a whole number."),
        ({"stampchat:login": []}, "stampchat:login is empty, so nobody could log in."),
        ({"stampchat:login": ["dev", "dev"]}, "stampchat:login is not a list of distinct words."),
        ({"stampchat:signingKeys": []}, "stampchat:signingKeys is not a list of distinct whole numbers from 1 up."),
        ({"stampchat:url": "8080"}, "stampchat:url is '8080', not an address such as http://127.0.0.1:8080."),
        ({"stampchat:gateway": "traefik"}, "stampchat:gateway is not a mapping."),
        ({"stampchat:hostname": "a.b"}, "stampchat:hostname is not a key that stack place dev knows."),
        (
            {"stampchat:gateway": {"kind": "ambassador"}},
            "stampchat:gateway.kind is 'ambassador', not one of gateway-api.",
        ),
    ],
)
def test_what_dev_refuses(changed: dict[str, Any], said: str) -> None:
    """Each with its key's path."""
    assert said in problems({**DEV, **changed})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stampchat:login": '["google", "dev"]'}, "stampchat:login holds dev, which lets anybody be anybody"),
        ({"stampchat:replicas": "1"}, "stampchat:replicas is 1, not between 2 and 100."),
        ({"stampchat:context": None}, "stampchat:context is not set; name the context"),
        ({"stampchat:hostname": "chat.example.com"}, "stampchat:hostname is 'chat.example.com', a name that nobody"),
        ({"stampchat:hostname": "https://chat"}, "stampchat:hostname is 'https://chat', not a DNS name"),
        ({"stampchat:acme": {"email": "me"}}, "stampchat:acme.email is 'me', not an e-mail address."),
        ({"stampchat:acme": {"email": "a@b.c", "server": "http://x"}}, "stampchat:acme.server is 'http://x', not one"),
        ({"stampchat:firebaseServiceAccount": "{}"}, "stampchat:firebaseServiceAccount is not text."),
        (
            {"stampchat:firebaseServiceAccount": make_service_account(project_id="other-project")},
            "stampchat:firebaseServiceAccount belongs to the project 'other-project', not to 'stampchat-test'.",
        ),
        (
            {"stampchat:firebaseServiceAccount": {"type": "authorized_user"}},
            "stampchat:firebaseServiceAccount has the type 'authorized_user', not a service account's",
        ),
    ],
)
def test_what_prod_refuses(changed: dict[str, Any], said: str) -> None:
    """Each with its key's path."""
    assert [problem for problem in problems({**PROD, **changed}) if problem.startswith(said)]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:hush@h/d?sslmode=require", "is not an address of the form"),
        ("postgresql://u:hush@h:port/d?sslmode=require", "is not an address of the form"),
        ("postgresql://u:hush@h?sslmode=require", "names no database"),
        ("postgresql://h/d?sslmode=require", "names no user and password"),
        ("postgresql://u:hush@h/d", "does not ask for TLS"),
        ("postgresql://u:hush@h/d?sslmode=prefer", "does not ask for TLS"),
    ],
)
def test_a_bad_database_address_is_refused_without_showing_it(url: str, said: str) -> None:
    """It holds a password."""
    found = problems({**PROD, "stampchat:chatDatabaseUrl": url})

    assert [problem for problem in found if problem.startswith(f"stampchat:chatDatabaseUrl {said}")]
    assert "hush" not in str(found)


def test_secrets_do_not_show_in_a_config() -> None:
    """A config may end in a traceback or a log."""
    shown = repr(validate_stack(PROD))

    assert not any(secret in shown for secret in PASSWORDS.values())


def test_the_report_is_one_text() -> None:
    """What the command line and the engine print."""
    with pytest.raises(ConfigError, match=r"(?s)has 2 problems:\n  stampchat:a is .*\n  stampchat:b is "):
        validate_stack({**DEV, "stampchat:a": 1, "stampchat:b": 2})


def test_config_is_read_without_pulumi() -> None:
    """The deployer imports it at every start, and pulumi costs 0.3 s."""
    import subprocess
    import sys

    code = "import sys, infra.config; sys.exit('pulumi' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
