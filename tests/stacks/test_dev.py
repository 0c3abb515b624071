"""Stack dev: what it consists of, in which order, and who reaches whom."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pulumi
import pytest

from stacks.program import deploy
from tests.infra.configs import DEV, IMAGES
from tests.infra.recording import Recorded, Recording, files_of, password, record

ORDER = (
    ("stampchat",),
    ("secrets", "network"),
    ("db-stamp-chat-auth", "db-stamp-chat-channel", "db-stamp-chat-notifications"),
    ("stamp-chat-notifications",),
    ("stamp-chat-channels",),
    ("stamp-chat-auth",),
    ("gateway",),
)


def component(recording: Recording, name: str) -> Recorded:
    (found,) = [c for c in recording.components() if c.name == name]
    return found


def test_the_order_is_the_originals(dev: Recording) -> None:
    """Namespace, secrets, databases, notifications, chat, auth, gateway: read off the graph, object by object."""
    for earlier_names, later_names in pairwise(ORDER):
        for later in (o for name in later_names for o in dev.inside(component(dev, name))):
            for earlier in (o for name in earlier_names for o in dev.inside(component(dev, name))):
                assert dev.waits_for(later, earlier), f"{later.kind} {later.name} before {earlier.kind} {earlier.name}"


def test_everything_is_in_the_order(dev: Recording) -> None:
    """A new component has to say where it comes."""
    assert {c.name for c in dev.components()} == {name for names in ORDER for name in names}


def test_a_service_object_does_not_wait_for_its_own_workload(dev: Recording) -> None:
    """The engine calls a Service done when a pod of it is ready: waiting for each other would end in a time-out."""
    for service in dev.objects("Service"):
        (workload,) = [r for r in dev.objects("Deployment", "StatefulSet") if r.name == service.name]
        assert not dev.waits_for(service, workload)
        assert not dev.waits_for(workload, service)


def test_the_outputs(dev: Recording) -> None:
    """What the command line prints and a rollback reads."""
    assert dev.outputs == {"url": "http://127.0.0.1:8080", "gatewayAddress": "127.0.0.1:8080", "images": IMAGES}


def test_secrets_have_the_originals_names_and_keys(dev: Recording) -> None:
    """And the mounted files are what the services read."""
    files = {r.name: files_of(r.inputs) for r in dev.objects("Secret")}

    assert {name: set(keys) for name, keys in files.items()} == {
        "auth-stamp-chat-secret": {"database_url", "private_key"},
        "channels-stamp-chat-secret": {"database_url", "secret_key_base"},
        "notifications-stamp-chat-secret": {"database_url"},
        "internal-credential": {"credential"},
        "db-stamp-chat-auth-password": {"password"},
        "db-stamp-chat-channel-password": {"password"},
        "db-stamp-chat-notifications-password": {"password"},
    }
    word = files["db-stamp-chat-channel-password"]["password"]
    assert files["channels-stamp-chat-secret"]["database_url"] == (
        f"postgresql://stamp_chat:{word}@db-stamp-chat-channel:5432/stamp_chat?sslmode=disable"
    )


def test_generated_secrets_are_long_and_need_no_quoting(dev: Recording) -> None:
    """64 letters and digits."""
    generated = [r for r in dev.resources if r.type == "random:index/randomPassword:RandomPassword"]

    assert len(generated) == 7
    assert all((r.inputs["length"], r.inputs["special"]) == (64, False) for r in generated)


def test_only_auth_mounts_the_private_key(dev: Recording) -> None:
    """The others verify and can mint nothing."""
    mounting = {
        r.name
        for r in dev.objects("Deployment", "StatefulSet")
        for volume in r.inputs["spec"]["template"]["spec"]["volumes"]
        if volume.get("secret", {}).get("secretName") == "auth-stamp-chat-secret"
    }

    assert mounting == {"stamp-chat-auth"}


def test_each_service_migrates_before_it_serves(dev: Recording) -> None:
    """By the same image, so the schema fits the code."""
    for name, module in (("auth", "auth"), ("channels", "chat"), ("notifications", "notifications")):
        pod = dev.object("Deployment", f"stamp-chat-{name}")["spec"]["template"]["spec"]
        (migrate,), (serve,) = pod["initContainers"], pod["containers"]
        assert migrate["args"] == [f"services.{module}", "migrate"]
        assert serve["args"] == [f"services.{module}"]
        assert migrate["image"] == serve["image"]


def test_an_update_never_has_fewer_ready_pods(dev: Recording) -> None:
    """One more before one less, and time to finish what is in flight."""
    for r in dev.objects("Deployment"):
        spec = r.inputs["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        pod = spec["template"]["spec"]
        delay = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= delay + 20


def test_all_of_it_fits_a_laptop(dev: Recording) -> None:
    """Under 1.2 of two cores promised, and under 1 GiB."""

    def promised(resource: str, unit: str) -> int:
        return sum(
            int(container["resources"]["requests"][resource].removesuffix(unit))
            for r in dev.objects("Deployment", "StatefulSet")
            for container in r.inputs["spec"]["template"]["spec"]["containers"]
        )

    assert promised("cpu", "m") <= 1200
    assert promised("memory", "Mi") <= 1024


def test_the_route_knows_the_three_public_ports_and_no_other(dev: Recording) -> None:
    """So an internal route is a 404 from outside, whatever its spelling."""
    *rules, page = dev.object("HTTPRoute", "stampchat")["spec"]["rules"]

    assert page == {
        "matches": [{"path": {"type": "Exact", "value": "/"}}, {"path": {"type": "PathPrefix", "value": "/web"}}],
        "backendRefs": [{"name": "stamp-chat-auth", "port": 3000}],
    }

    assert [(r["matches"][0]["path"]["value"], r["backendRefs"][0]["port"]) for r in rules] == [
        ("/auth", 3000),
        ("/chat", 4000),
        ("/notifications", 3001),
    ]
    for rule in rules:
        (rewrite,) = rule["filters"]
        assert rewrite["urlRewrite"]["path"] == {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}


def test_the_gateways_listener_is_traefiks_entry_point(dev: Recording) -> None:
    """Traefik serves a listener only on a port that it listens on."""
    (listener,) = dev.object("Gateway", "gateway")["spec"]["listeners"]
    args = dev.object("Deployment", "gateway")["spec"]["template"]["spec"]["containers"][0]["args"]

    assert f"--entrypoints.web.address=:{listener['port']}" in args
    service = dev.object("Service", "gateway")["spec"]
    assert (service["type"], service["ports"][0]["nodePort"]) == ("NodePort", 30080)
    assert service["externalTrafficPolicy"] == "Local"


def test_chats_public_port_announces_the_websocket(dev: Recording) -> None:
    """A gateway that wants to be told is told."""
    ports = {port["name"]: port for port in dev.object("Service", "stamp-chat-channels")["spec"]["ports"]}

    assert ports["public"]["appProtocol"] == "kubernetes.io/ws"
    assert "appProtocol" not in ports["internal"]


def test_the_gateway_may_read_two_namespaces_and_write_nothing_but_a_status(dev: Recording) -> None:
    """No verb but reading, and no cluster-wide Secret."""
    for role in dev.objects("Role", "ClusterRole"):
        for rule in role.inputs["rules"]:
            for resource in rule["resources"]:
                allowed = {"update"} if resource.endswith("/status") else {"get", "list", "watch"}
                assert set(rule["verbs"]) <= allowed
    cluster_wide = {
        r for role in dev.objects("ClusterRole") for rule in role.inputs["rules"] for r in rule["resources"]
    }
    assert cluster_wide == {"namespaces", "gatewayclasses", "gatewayclasses/status"}
    assert {r.inputs["metadata"]["namespace"] for r in dev.objects("Role")} == {"stampchat", "stampchat-gateway"}


def flows(recording: Recording, name: str, direction: str) -> set[tuple[str, int]]:
    """Return who a workload's policy lets through, as (peer, port)."""
    found = set()
    for rule in recording.object("NetworkPolicy", name)["spec"].get(direction, []):
        for peer in rule["from" if direction == "ingress" else "to"]:
            found |= {(_peer(peer), port["port"]) for port in rule["ports"]}
    return found


def _peer(peer: dict[str, Any]) -> str:
    if "ipBlock" in peer:
        return str(peer["ipBlock"]["cidr"])
    return str(peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"])


FLOWS: dict[str, tuple[set[tuple[str, int]], set[tuple[str, int]]]] = {
    "stamp-chat-auth": (
        {("gateway", 3000)},
        {
            ("db-stamp-chat-auth", 5432),
            ("stamp-chat-channels", 4010),
            ("stamp-chat-channels", 4000),
            ("stamp-chat-notifications", 3011),
        },
    ),
    "stamp-chat-channels": (
        {("gateway", 4000), ("stamp-chat-auth", 4010), ("stamp-chat-auth", 4000)},
        {("db-stamp-chat-channel", 5432), ("stamp-chat-notifications", 3011)},
    ),
    "stamp-chat-notifications": (
        {("gateway", 3001), ("stamp-chat-channels", 3011), ("stamp-chat-auth", 3011)},
        {("db-stamp-chat-notifications", 5432)},
    ),
    "db-stamp-chat-auth": ({("stamp-chat-auth", 5432)}, set()),
    "db-stamp-chat-channel": ({("stamp-chat-channels", 5432)}, set()),
    "db-stamp-chat-notifications": ({("stamp-chat-notifications", 5432)}, set()),
    "gateway": (
        {("0.0.0.0/0", 8000)},
        {
            ("stamp-chat-auth", 3000),
            ("stamp-chat-channels", 4000),
            ("stamp-chat-notifications", 3001),
            ("0.0.0.0/0", 443),
            ("0.0.0.0/0", 6443),
        },
    ),
}


@pytest.mark.parametrize("name", FLOWS)
def test_exactly_these_flows_are_allowed(dev: Recording, name: str) -> None:
    """Everything else is refused by default-deny."""
    assert (flows(dev, name, "ingress"), flows(dev, name, "egress")) == FLOWS[name]


def test_default_deny_lets_names_be_asked_and_nothing_else(dev: Recording) -> None:
    """The classic mistake is to forget DNS."""
    for name, namespace in (("default-deny", "stampchat"), ("gateway-default-deny", "stampchat-gateway")):
        policy = dev.object("NetworkPolicy", name, namespace)["spec"]
        assert policy["podSelector"] == {}
        assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
        assert "ingress" not in policy
        (dns,) = policy["egress"]
        assert {(port["protocol"], port["port"]) for port in dns["ports"]} >= {("UDP", 53), ("TCP", 53)}


def test_each_pod_has_a_policy_of_its_own(dev: Recording) -> None:
    """A workload without one could do nothing, which is safe and useless."""
    selected = [r.inputs["spec"]["podSelector"].get("matchLabels") for r in dev.objects("NetworkPolicy")]

    for r in dev.objects("Deployment", "StatefulSet"):
        assert {"app.kubernetes.io/name": r.name} in selected


def test_the_program_names_no_cluster_but_the_stacks(dev: Recording, checkout: Path) -> None:
    """The kubeconfig is our own cluster's file, seen from the checkout."""
    (provider,) = [r for r in dev.resources if r.type == "pulumi:providers:kubernetes"]

    assert provider.inputs["kubeconfig"] == str(checkout / ".stampchat/cluster/kubeconfig")
    assert provider.inputs["enableServerSideApply"] == "true"
    assert provider.inputs["enableSecretMutable"] == "true"


def test_a_rotation_signs_with_the_new_key_and_still_knows_the_old(checkout: Path) -> None:
    """Nobody is logged out."""
    rotating = record(lambda: deploy(checkout), {**DEV, "stampchat:signingKeys": "[1, 2]"})

    secret = files_of(rotating.object("Secret", "auth-stamp-chat-secret"))
    assert secret["private_key"] == password("private-key-2")
    assert len(rotating.object("ConfigMap", "token-keys")["data"]) == 2


def test_a_changed_secret_rolls_exactly_the_pods_that_mount_it(dev: Recording, checkout: Path) -> None:
    """By the checksum in their template."""
    rotating = record(lambda: deploy(checkout), {**DEV, "stampchat:signingKeys": "[2]"})

    def templates(recording: Recording) -> dict[str, str]:
        return {
            r.name: json.dumps(r.inputs["spec"]["template"], sort_keys=True)
            for r in recording.objects("Deployment", "StatefulSet")
        }

    before, after = templates(dev), templates(rotating)
    rolled = {name for name in before if before[name] != after[name]}
    assert rolled == {"stamp-chat-auth", "stamp-chat-channels", "stamp-chat-notifications"}


def test_a_bad_config_stops_the_program_with_every_problem(checkout: Path) -> None:
    """As one message of the engine, without a traceback."""
    with pytest.raises(pulumi.RunError, match=r"(?s)stampchat:push is .*stampchat:colour is "):
        record(lambda: deploy(checkout), {**DEV, "stampchat:push": "pigeon", "stampchat:colour": "red"})


def test_missing_images_stop_the_program(tmp_path: Path) -> None:
    """The program never builds."""
    with pytest.raises(pulumi.RunError, match="build the images first"):
        record(lambda: deploy(tmp_path), DEV)
