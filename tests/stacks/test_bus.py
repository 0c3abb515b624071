"""What a bus of their own changes about the chat's pods, and about nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.bus import BusConfig
from policy.exceptions import find_exception
from policy.pack import RULES
from stacks.program import deploy
from stacks.render import render
from tests.infra.configs import BUS_PASSWORD, DEV, NATS_URL, OPTIONS, PAST_POOLER, WITH_NATS
from tests.infra.recording import Recording, files_of, record

CHAT = "stamp-chat-channels"
OTHERS = ("stamp-chat-auth", "stamp-chat-notifications")
SETTING = {"name": "STAMPCHAT_BUS_URL_FILE", "value": "/run/stampchat/bus/url"}


@pytest.fixture(scope="module")
def nats(checkout: Path) -> Recording:
    """Record prod with a NATS in the cluster."""
    return record(lambda: deploy(checkout), WITH_NATS, stack="prod")


@pytest.fixture(scope="module")
def pooler(checkout: Path) -> Recording:
    """Record prod with a database behind a pooler, and an authority of its own."""
    values = {**PAST_POOLER, "stampchat:databaseCa": OPTIONS["stampchat:databaseCa"]}
    return record(lambda: deploy(checkout), values, stack="prod")


def pod(recording: Recording, name: str) -> dict[str, Any]:
    template: dict[str, Any] = recording.object("Deployment", name)["spec"]["template"]
    return template


def env(recording: Recording, name: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = pod(recording, name)["spec"]["containers"][0]["env"]
    return found


def egress(recording: Recording, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = recording.object("NetworkPolicy", name)["spec"]["egress"]
    return found


def test_dev_and_prod_have_the_databases(dev: Recording, prod: Recording) -> None:
    """And no Secret, mount or flow besides."""
    for recording in (dev, prod):
        settings = {variable["name"]: variable["value"] for variable in env(recording, CHAT)}
        assert (settings["STAMPCHAT_BUS"], settings["STAMPCHAT_BUS_NAME"]) == ("postgres", "stampchat")
        assert "STAMPCHAT_BUS_URL_FILE" not in settings
        assert not [r for r in recording.objects("Secret") if r.name == "bus-secret"]


def test_chat_alone_is_told_of_nats(nats: Recording) -> None:
    """By a mounted file; its settings are no secret."""
    assert files_of(nats.object("Secret", "bus-secret")) == {"url": NATS_URL}
    settings = env(nats, CHAT)
    assert {"name": "STAMPCHAT_BUS", "value": "nats"} in settings
    assert {"name": "STAMPCHAT_BUS_NAME", "value": "rooms_2"} in settings
    assert SETTING in settings
    for container in (*pod(nats, CHAT)["spec"]["initContainers"], *pod(nats, CHAT)["spec"]["containers"]):
        assert {"name": "bus", "mountPath": "/run/stampchat/bus", "readOnly": True} in container["volumeMounts"]
    for name in OTHERS:
        assert "bus" not in json.dumps(pod(nats, name))


def test_chat_may_reach_its_nats_and_nobody_else_may(nats: Recording, prod: Recording) -> None:
    """In the namespace that its name has, on its port."""
    (flow,) = [rule for rule in egress(nats, CHAT) if rule not in egress(prod, CHAT)]

    assert flow == {
        "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "messaging"}}}],
        "ports": [{"protocol": "TCP", "port": 4223}],
    }
    for name in OTHERS:
        assert egress(nats, name) == egress(prod, name)


def test_nats_outside_is_reached_by_its_ports(checkout: Path) -> None:
    """Wherever it is, but for the cloud's own metadata; each port once."""
    urls = "tls://a.nats.org,tls://b.nats.org,tls://c.nats.org:4443"
    recorded = record(lambda: deploy(checkout), {**WITH_NATS, "stampchat:busUrl": urls}, stack="prod")

    ports = [rule["ports"][0]["port"] for rule in egress(recorded, CHAT) if "ipBlock" in rule["to"][0]]
    assert sorted(ports) == [4222, 4443, 6432]


def test_a_database_past_its_pooler_is_reached_and_believed_as_the_other(pooler: Recording, prod: Recording) -> None:
    """Its port besides, and the same authority."""
    url = files_of(pooler.object("Secret", "bus-secret"))["url"]
    assert url == f"{PAST_POOLER['stampchat:busUrl']}&sslrootcert=/run/stampchat/database-ca/ca.pem"
    assert {"name": "STAMPCHAT_BUS", "value": "postgres"} in env(pooler, CHAT)
    assert SETTING in env(pooler, CHAT)
    assert [port["port"] for port in egress(pooler, CHAT)[0]["ports"]] == [5434, 6432]
    for name in OTHERS:
        assert egress(pooler, name) == egress(prod, name)


def test_another_address_rolls_chats_pods_alone(nats: Recording, checkout: Path) -> None:
    """By the checksum in their template, which gives nothing away."""
    other = {**WITH_NATS, "stampchat:busUrl": NATS_URL.replace("4223", "4224")}
    changed = record(lambda: deploy(checkout), other, stack="prod")

    def annotations(recording: Recording, name: str) -> dict[str, str]:
        found: dict[str, str] = pod(recording, name)["metadata"]["annotations"]
        return found

    before, after = annotations(nats, CHAT), annotations(changed, CHAT)
    assert {key for key in after if after[key] != before[key]} == {"checksum.stampchat/bus-secret"}
    for name in OTHERS:
        assert pod(changed, name) == pod(nats, name)


@pytest.mark.parametrize("which", ["nats", "pooler"])
def test_the_address_is_secret_and_the_rules_hold(which: str, request: pytest.FixtureRequest) -> None:
    """Those of the policy pack."""
    recording: Recording = request.getfixturevalue(which)

    for resource in recording.resources:
        shown = {key: value for key, value in resource.inputs.items() if key not in resource.secrets}
        assert BUS_PASSWORD not in json.dumps(shown), resource.name
    for resource in recording.objects():
        for rule in RULES:
            if find_exception(rule.name, resource.kind, resource.name) is None:
                assert list(rule.judge(resource.type, resource.inputs)) == [], f"{rule.name}: {resource.name}"


def test_render_leaves_a_placeholder(checkout: Path) -> None:
    """Whether the address stands open or encrypted."""
    for url in (NATS_URL, {"secure": "v1:made-up"}):
        rendered = [item["manifest"] for item in render("prod", {**WITH_NATS, "stampchat:busUrl": url}, checkout)]
        (secret,) = [item for item in rendered if item["kind"] == "Secret" and item["metadata"]["name"] == "bus-secret"]

        assert secret["stringData"] == {"url": "<bus-secret url>"}
        assert BUS_PASSWORD not in json.dumps(rendered)


def test_dev_may_have_one_too(checkout: Path) -> None:
    """A NATS that the user runs in the cluster."""
    values = {**DEV, "stampchat:bus": '{"kind": "nats"}', "stampchat:busUrl": NATS_URL}
    recorded = record(lambda: deploy(checkout), values)

    assert files_of(recorded.object("Secret", "bus-secret")) == {"url": NATS_URL}
    assert BusConfig().name in json.dumps(env(recorded, CHAT))
