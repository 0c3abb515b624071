"""By what the chat's pods tell each other, and what of it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from infra.bus import BusConfig, bus_url_problems, describe_bus_url, nats_places
from infra.config import inspect_stack, validate_stack
from infra.values import SecretText
from tests.infra.configs import BUS_PASSWORD, DEV, NATS_URL, PAST_POOLER, PROD, WITH_NATS, make_authority

SEALED = {"secure": "v1:made-up"}
DIRECT = "postgresql://app:hush@chat.db.cloud:5434/stamp_chat?sslmode=require"


def problems(values: dict[str, Any]) -> list[str]:
    return [problem for problem in inspect_stack(values)[1] if problem.startswith("stampchat:bus")]


@pytest.mark.parametrize("values", [DEV, PROD])
def test_it_is_the_database_unless_something_else_is_said(values: dict[str, str]) -> None:
    """With nothing to set up."""
    assert validate_stack(values).bus == BusConfig("postgres", "stampchat", None)


def test_each_can_be_said() -> None:
    """As the engine hands it over, and as a stack file has it."""
    nats, direct = validate_stack(WITH_NATS).bus, validate_stack(PAST_POOLER).bus
    alone = validate_stack({**DEV, "stampchat:bus": {"kind": "local"}}).bus

    assert (nats.kind, nats.name, alone.kind, direct.kind) == ("nats", "rooms_2", "local", "postgres")
    assert nats.url is not None
    assert nats.url.reveal() == NATS_URL
    assert direct.url is not None
    assert BUS_PASSWORD not in repr((nats, direct))


def test_its_address_may_still_be_encrypted() -> None:
    """Whoever checks a stack's file has no passphrase."""
    for values in (WITH_NATS, PAST_POOLER):
        bus = validate_stack({**values, "stampchat:busUrl": SEALED}).bus
        assert bus.url is not None
        assert bus.url.sealed


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({**PROD, "stampchat:bus": {"kind": "redis"}}, "bus.kind is 'redis', not one of local, postgres, nats."),
        ({**PROD, "stampchat:bus": "nats"}, "bus is not a mapping."),
        ({**PROD, "stampchat:bus": {"kind": "local"}}, "bus.kind is local, by which one pod tells no other"),
        ({**DEV, "stampchat:replicas": 2, "stampchat:bus": {"kind": "local"}}, "bus.kind is local, by which one pod"),
        ({**PROD, "stampchat:bus": {"name": "a-b"}}, "bus.name is 'a-b', not a letter and up to 39 letters"),
        (
            {**PROD, "stampchat:bus": {"kid": "nats"}},
            "bus.kid is not a key that this program knows; did you mean kind?",
        ),
        ({**PROD, "stampchat:bus": {"kind": "nats"}}, "busUrl is not set; bus.kind nats asks for an address such as"),
        ({**DEV, "stampchat:bus": {"kind": "nats"}}, "busUrl is not set; bus.kind nats asks for an address such as"),
        ({**PROD, "stampchat:bus": {"url": "tls://u:hush@h.org"}}, "bus.url is a secret; `./stampchat secrets set bus"),
        ({**WITH_NATS, "stampchat:busUrl": DIRECT}, "busUrl is no address of NATS, and bus.kind is nats."),
        ({**PAST_POOLER, "stampchat:busUrl": "tls://u:hush@h.org"}, "busUrl is an address of NATS, and bus.kind is p"),
        ({**WITH_NATS, "stampchat:busUrl": "nats://u:hush@h.org"}, "busUrl does not ask for TLS outside the cluster"),
        ({**PAST_POOLER, "stampchat:busUrl": "postgresql://u:hush@h/d"}, "busUrl does not ask for TLS; end it with"),
        (
            {**PAST_POOLER, "stampchat:busUrl": f"{DIRECT}&sslrootcert=/etc/ca.pem"},
            "busUrl names an authority's file that no pod has",
        ),
        ({**DEV, "stampchat:busUrl": DIRECT}, "busUrl is for bus.kind nats, or for a hosted database past its pooler"),
        ({**DEV, "stampchat:bus": {"kind": "local"}, "stampchat:busUrl": NATS_URL}, "busUrl is for bus.kind nats, or"),
        ({**PROD, "stampchat:bussUrl": "x"}, "bussUrl is not a key that stack place prod knows; did you mean busUrl?"),
    ],
)
def test_what_is_refused(values: dict[str, Any], said: str) -> None:
    """Each with its key's path, and no secret."""
    found = [problem for problem in inspect_stack(values)[1] if problem.startswith(f"stampchat:{said}")]

    assert len(found) == 1, inspect_stack(values)[1]
    assert "hush" not in str(inspect_stack(values)[1])


def test_the_databases_authority_may_be_named() -> None:
    """It is mounted in every pod of chat."""
    url = f"{DIRECT}&sslrootcert=/run/stampchat/database-ca/ca.pem"

    assert problems({**PAST_POOLER, "stampchat:busUrl": url, "stampchat:databaseCa": make_authority()}) == []


def test_only_what_listens_on_a_database_is_counted() -> None:
    """Eight connections a pod fit the usual hundred where the bus is elsewhere."""
    for values in (WITH_NATS, PAST_POOLER):
        assert inspect_stack({**values, "stampchat:databasePoolSize": 8})[1] == []
    assert "8 + 11 on which chat's pods" in inspect_stack({**PROD, "stampchat:databasePoolSize": 8})[1][0]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://hush@h.org", "is no address such as nats://"),
        ("nats://hush@h.org", "does not ask for TLS outside the cluster"),
        ("postgresql://u:hush@h/d", "does not ask for TLS; end it with ?sslmode="),
        ("host=h password=hush", "is a list of key=value"),
    ],
)
def test_an_address_alone_is_judged_by_what_it_means(url: str, said: str) -> None:
    """As it is when it is set, before anybody says of which kind the bus is."""
    (problem,) = bus_url_problems(url)

    assert problem.startswith(said)
    assert "hush" not in problem


def test_a_good_address_is_described_without_who_asks() -> None:
    """For `secrets check`."""
    assert bus_url_problems(NATS_URL) == bus_url_problems(DIRECT) == []
    assert describe_bus_url(f"{NATS_URL},tls://h.org") == "nats://nats.messaging.svc:4223, tls://h.org:4222"
    assert describe_bus_url(DIRECT) == "app@chat.db.cloud:5434/stamp_chat (sslmode require)"


def test_where_nats_is_not_known_its_usual_port_stands_for_it() -> None:
    """While it is encrypted, and where a placeholder stands."""
    for url in (SecretText(None), SecretText("<bus url>")):
        (place,) = nats_places(BusConfig("nats", url=url))
        assert (place.namespace, place.port) == ("", 4222)
    assert nats_places(BusConfig()) == []
