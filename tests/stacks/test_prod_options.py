"""Stack prod with what is off by default: a platform of ours, sockets, traces, an authority, migrating roles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.builders.network import PRIVATE_NETWORKS
from infra.platform import load_charts
from stacks.program import deploy
from tests.infra.configs import OPTIONS, OWNER_PASSWORD, OWNER_URL, PROD
from tests.infra.recording import Recorded, Recording, files_of, record

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "kubernetes:helm.sh/v3:Release"


def releases(recording: Recording) -> dict[str, Recorded]:
    return {r.name: r for r in recording.resources if r.type == RELEASE}


def test_the_platform_is_installed_from_its_pinned_charts(full: Recording) -> None:
    """By the official plugin's Helm releases, each waiting for what it starts."""
    charts = load_charts(ROOT)
    found = releases(full)

    assert set(found) == set(charts) == {"cert-manager", "emissary-crds", "emissary-ingress"}
    for name, release in found.items():
        assert (release.inputs["chart"], release.inputs["version"]) == (charts[name].address, charts[name].version)
        assert release.inputs["chart"].startswith("oci://")
        assert (release.inputs["skipAwait"], release.inputs["atomic"]) == (False, True)
        assert release.inputs["createNamespace"] is True
        assert "pulumi:providers:kubernetes::cluster" in release.provider
    assert found["cert-manager"].inputs["values"]["crds"] == {"enabled": True, "keep": True}
    assert found["emissary-ingress"].inputs["namespace"] == "emissary"
    assert found["emissary-ingress"].inputs["values"]["createDefaultListeners"] is False


def test_definitions_come_first_and_what_needs_them_last(full: Recording) -> None:
    """A custom resource without its definition is refused."""
    found = releases(full)
    host, certificate, issuer = (
        next(r for r in full.objects(kind)) for kind in ("Host", "Certificate", "ClusterIssuer")
    )

    assert full.waits_for(found["emissary-ingress"], found["emissary-crds"])
    for later in (host, certificate, issuer):
        assert all(full.waits_for(later, release) for release in found.values())


def test_with_gateway_api_only_cert_manager_is_installed(full_gateway_api: Recording) -> None:
    """And it is told to answer challenges by HTTPRoutes."""
    (release,) = releases(full_gateway_api).values()

    assert release.name == "cert-manager"
    assert release.inputs["values"]["config"]["gatewayAPI"] == {"enabled": True}


def test_nothing_is_installed_unless_asked_for(prod: Recording, prod_gateway_api: Recording) -> None:
    """The cluster's own platform is not ours to change."""
    assert releases(prod) == releases(prod_gateway_api) == {}


def test_chat_alone_grows_by_its_sockets(full: Recording, prod: Recording) -> None:
    """Under the name that its metrics have, and beside the processor."""
    metrics = full.object("HorizontalPodAutoscaler", "stamp-chat-channels")["spec"]["metrics"]

    assert [metric["type"] for metric in metrics] == ["Resource", "Pods"]
    assert metrics[1]["pods"] == {
        "metric": {"name": "stampchat_sockets"},
        "target": {"type": "AverageValue", "averageValue": "4000"},
    }
    assert "| `stampchat_sockets` | chat |" in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    others = [r for r in full.objects("HorizontalPodAutoscaler") if r.name != "stamp-chat-channels"]
    for scaler in (*others, *prod.objects("HorizontalPodAutoscaler")):
        assert [metric["type"] for metric in scaler.inputs["spec"]["metrics"]] == ["Resource"], scaler.name


def test_traces_may_go_out_to_the_collector_and_no_further(full: Recording, prod: Recording) -> None:
    """One flow more for each service, to the collector's namespace."""
    for name in ("stamp-chat-auth", "stamp-chat-channels", "stamp-chat-notifications"):
        opened = full.object("NetworkPolicy", name)["spec"]["egress"]
        before = prod.object("NetworkPolicy", name)["spec"]["egress"]
        (flow,) = [rule for rule in opened if rule["ports"] == [{"protocol": "TCP", "port": 4318}]]
        assert flow["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tracing"}}}]
        assert len(opened) == len(before) + 1
        env = pod(full, name)["containers"][0]["env"]
        assert {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector.tracing.svc:4318"} in env


def test_a_collector_outside_the_cluster_is_reached_by_its_port(checkout: Path) -> None:
    """An address has no namespace."""
    values = {**PROD, "stampchat:otlpEndpoint": "https://otel.stampchat.app"}
    recorded = record(lambda: deploy(checkout), values, stack="prod")

    egress = recorded.object("NetworkPolicy", "stamp-chat-channels")["spec"]["egress"]
    (flow,) = [rule for rule in egress if rule["ports"] == [{"protocol": "TCP", "port": 443}]]
    assert flow["to"][0]["ipBlock"]["cidr"] == "0.0.0.0/0"
    assert set(flow["to"][0]["ipBlock"]["except"]) < set(PRIVATE_NETWORKS)


def test_the_authority_is_mounted_and_named(full: Recording) -> None:
    """In every address that names none, and in the pods of all three."""
    assert full.object("ConfigMap", "database-ca")["data"] == {"ca.pem": OPTIONS["stampchat:databaseCa"].strip()}
    for name, secret in (
        ("stamp-chat-auth", "auth-stamp-chat-secret"),
        ("stamp-chat-channels", "channels-stamp-chat-secret"),
        ("stamp-chat-notifications", "notifications-stamp-chat-secret"),
    ):
        url = files_of(full.object("Secret", secret))["database_url"]
        assert url.endswith("?sslmode=require&sslrootcert=/run/stampchat/database-ca/ca.pem")
        for container in (*pod(full, name)["initContainers"], *pod(full, name)["containers"]):
            assert "/run/stampchat/database-ca" in mounted(container), name


def test_only_the_migration_sees_the_owners_address(full: Recording) -> None:
    """What serves can be broken into; what migrated is gone."""
    secret = files_of(full.object("Secret", "channels-stamp-chat-migrate-secret"))
    assert secret["database_url"].startswith(OWNER_URL)
    chat = pod(full, "stamp-chat-channels")
    (migrate,), (serve,) = chat["initContainers"], chat["containers"]
    setting = {"name": "STAMPCHAT_MIGRATE_DATABASE_URL_FILE", "value": "/run/stampchat/migrate/database_url"}

    assert setting in migrate["env"]
    assert setting not in serve["env"]
    assert mounted(migrate) - mounted(serve) == {"/run/stampchat/migrate"}
    assert "migrate" not in {volume["name"] for volume in pod(full, "stamp-chat-auth")["volumes"]}
    egress = full.object("NetworkPolicy", "stamp-chat-channels")["spec"]["egress"]
    assert [port["port"] for port in egress[0]["ports"]] == [5433, 6432]


@pytest.mark.parametrize("which", ["prod", "prod_gateway_api"])
def test_what_cannot_be_made_again_is_protected(which: str, request: pytest.FixtureRequest) -> None:
    """The namespace with all that runs, and the keys without which everybody is logged out."""
    recording: Recording = request.getfixturevalue(which)

    assert protected(recording) == {"stampchat", "private-key-1", "secret-key-base"}


def test_nothing_of_dev_is_protected(dev: Recording) -> None:
    """Whoever destroys it wants it gone."""
    assert protected(dev) == set()


def test_a_rotation_takes_the_protection_from_the_older_keys(checkout: Path) -> None:
    """Or the engine would refuse to drop them when the rotation ends."""
    rotating = {**PROD, "stampchat:signingKeys": "[1, 2]", "stampchat:secretKeyBases": "[2]"}
    recorded = record(lambda: deploy(checkout), rotating, stack="prod")
    names = {r.name for r in recorded.resources if r.type.endswith(":RandomPassword")}

    assert protected(recorded) == {"stampchat", "private-key-2", "secret-key-base-2"}
    assert {"private-key-1", "secret-key-base"} < names


def protected(recording: Recording) -> set[str]:
    return {r.name for r in recording.resources if r.protected}


def pod(recording: Recording, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = recording.object("Deployment", name)["spec"]["template"]["spec"]
    return spec


def mounted(container: dict[str, Any]) -> set[str]:
    return {mount["mountPath"] for mount in container["volumeMounts"]}


def test_no_option_shows_a_secret(full: Recording) -> None:
    """The owner's password is where the engine keeps it secret, and nowhere else."""
    for resource in full.resources:
        shown = {key: value for key, value in resource.inputs.items() if key not in resource.secrets}
        assert OWNER_PASSWORD not in json.dumps(shown), resource.name
