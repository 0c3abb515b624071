"""Stack prod: hosted databases, Ambassador or Gateway API, a certificate, and replicas that are looked after."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tests.infra.configs import IMAGES, PASSWORDS, SERVICE_ACCOUNT
from tests.infra.recording import Recording, files_of
from tests.infra.schema import load_schemas, violations

HOST = "chat.stampchat.app"
CRDS = Path(__file__).resolve().parents[3] / "shared" / "crds" / "emissary-4.1.0.yaml"
SERVICES = ("stamp-chat-auth", "stamp-chat-channels", "stamp-chat-notifications")


def test_the_outputs(prod: Recording) -> None:
    """What the command line prints and a rollback reads."""
    assert prod.outputs == {
        "url": f"https://{HOST}",
        "gatewayAddress": HOST,
        "images": {"services": IMAGES["services"]},
    }


def test_databases_are_hosted(prod: Recording) -> None:
    """No StatefulSet, and the address as it was given."""
    assert prod.objects("StatefulSet") == []
    url = files_of(prod.object("Secret", "channels-stamp-chat-secret"))["database_url"]
    assert url == f"postgresql://app:{PASSWORDS['chat']}@chat.db.cloud:6432/stamp_chat?sslmode=require"


def test_firebase_reaches_notifications_alone(prod: Recording) -> None:
    """The mounted file is the JSON itself; auth gets the project's id and no key."""
    assert files_of(prod.object("Secret", "firebase-secret")) == {"firebase_service_account": SERVICE_ACCOUNT}
    mounting = [r.name for r in prod.objects("Deployment") if "firebase-secret" in json.dumps(r.inputs)]
    assert mounting == ["stamp-chat-notifications"]


def test_the_order_ends_with_gateway_and_tls(prod: Recording, prod_gateway_api: Recording) -> None:
    """A challenge needs the gateway."""
    for recording, entry in ((prod, "ambassador"), (prod_gateway_api, "gateway")):
        by_name = {component.name: component for component in recording.components()}
        for earlier, later in (("stamp-chat-auth", entry), (entry, "tls")):
            for second in recording.inside(by_name[later]):
                assert all(recording.waits_for(second, first) for first in recording.inside(by_name[earlier]))


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_scaled_spread_and_guarded(prod: Recording, name: str) -> None:
    """The autoscaler owns the count, so the Deployment names none."""
    deployment = prod.object("Deployment", name)["spec"]
    scaler = prod.object("HorizontalPodAutoscaler", name)["spec"]
    budget = prod.object("PodDisruptionBudget", name)["spec"]

    assert "replicas" not in deployment
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 10)
    assert scaler["scaleTargetRef"]["name"] == name
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    keys = {each["topologyKey"] for each in deployment["template"]["spec"]["topologySpreadConstraints"]}
    assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


def test_one_host_with_our_certificate_and_no_clear_request(prod: Recording) -> None:
    """Emissary redirects what comes in clear."""
    (host,) = prod.objects("Host")

    assert host.inputs["spec"]["hostname"] == HOST
    assert host.inputs["spec"]["requestPolicy"] == {"insecure": {"action": "Redirect"}}
    assert host.inputs["spec"]["tlsSecret"] == {"name": "stampchat-tls"}
    assert {r.inputs["spec"]["port"] for r in prod.objects("Listener")} == {8080, 8443}


def test_the_mappings(prod: Recording) -> None:
    """Prefix off, REST and websocket apart, the challenge open, and no internal port named."""
    mappings = {r.name: r.inputs["spec"] for r in prod.objects("Mapping")}

    assert {(m["prefix"], m["rewrite"], m["service"]) for m in mappings.values()} == {
        ("/auth/", "/", "http://stamp-chat-auth.stampchat:3000"),
        ("/chat/", "/", "http://stamp-chat-channels.stampchat:4000"),
        ("/chat/socket/", "/socket/", "http://stamp-chat-channels.stampchat:4000"),
        ("/notifications/", "/", "http://stamp-chat-notifications.stampchat:3001"),
        ("/.well-known/acme-challenge/", "", "http://acme-http01-solver.stampchat:8089"),
    }
    assert all(m["hostname"] == HOST for m in mappings.values())
    upgraded = [name for name, m in mappings.items() if m.get("allow_upgrade")]
    assert upgraded == ["stamp-chat-channels-socket"]
    socket = mappings[upgraded[0]]
    assert (socket["timeout_ms"], socket["idle_timeout_ms"]) == (0, 90_000)


@pytest.mark.skipif(not CRDS.exists(), reason=f"Emissary's CRDs are not at {CRDS}")
def test_ambassadors_objects_fit_emissarys_own_schema(prod: Recording) -> None:
    """Field by field; a server would drop an unknown one in silence."""
    schemas = load_schemas(CRDS)
    judged = 0
    for r in prod.objects("Listener", "Host", "Mapping"):
        assert violations(r.inputs, schemas[r.inputs["apiVersion"], r.kind]) == [], r.name
        judged += 1
    assert judged == 8


@pytest.mark.skipif(not CRDS.exists(), reason=f"Emissary's CRDs are not at {CRDS}")
@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"prefix": "/a/"}, ".spec.service: missing"),
        ({"prefix": "/a/", "service": "b", "colour": "red"}, ".spec.colour: unknown"),
        ({"prefix": "/a/", "service": "b", "timeout_ms": "none"}, ".spec.timeout_ms: 'none' is no integer"),
    ],
)
def test_the_schema_check_can_fail(spec: dict[str, str], said: str) -> None:
    """Self-test: what a server would refuse or drop is found."""
    schema = load_schemas(CRDS)["getambassador.io/v3alpha1", "Mapping"]

    assert said in violations({"apiVersion": "a", "kind": "b", "metadata": {}, "spec": spec}, schema)


def test_the_certificate_is_waited_for(prod: Recording) -> None:
    """Custom resources are not, unless they say so."""
    issuer = prod.object("ClusterIssuer", "stampchat")
    certificate = prod.object("Certificate", "stampchat-tls")

    assert issuer["spec"]["acme"]["server"] == "https://acme-staging-v02.api.letsencrypt.org/directory"
    assert certificate["spec"]["dnsNames"] == [HOST]
    assert certificate["metadata"]["namespace"] == "stampchat"
    for waited in (issuer, certificate):
        assert waited["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"


def test_gateway_api_serves_the_same_routes_over_tls(prod: Recording, prod_gateway_api: Recording) -> None:
    """Only the words differ."""
    routes = prod_gateway_api.object("HTTPRoute", "stampchat")["spec"]
    assert routes["hostnames"] == [HOST]
    assert routes["parentRefs"][0]["sectionName"] == "websecure"
    by_gateway = {
        (rule["matches"][0]["path"]["value"] + "/", rule["backendRefs"][0]["port"]) for rule in routes["rules"]
    }
    by_mapping = {
        (r.inputs["spec"]["prefix"], int(r.inputs["spec"]["service"].rpartition(":")[2]))
        for r in prod.objects("Mapping")
        if r.name in SERVICES
    }
    assert by_gateway == by_mapping

    redirect = prod_gateway_api.object("HTTPRoute", "stampchat-redirect")["spec"]
    assert redirect["parentRefs"][0]["sectionName"] == "web"
    assert redirect["rules"][0]["filters"][0]["requestRedirect"]["scheme"] == "https"
    certificate = prod_gateway_api.object("Certificate", "stampchat-tls")
    assert certificate["metadata"]["namespace"] == "stampchat-gateway"


def test_the_databases_port_is_the_only_way_out(prod: Recording) -> None:
    """Chat reaches its database's own port, notifications and nothing else."""
    egress = prod.object("NetworkPolicy", "stamp-chat-channels")["spec"]["egress"]

    assert sorted(port["port"] for rule in egress for port in rule["ports"]) == [3011, 6432]


def test_no_secret_is_encoded_twice(prod: Recording) -> None:
    """Kubernetes encodes once what comes as stringData."""
    shown = json.dumps(prod.object("Secret", "firebase-secret"))

    assert base64.b64encode(SERVICE_ACCOUNT.encode()).decode() not in shown
