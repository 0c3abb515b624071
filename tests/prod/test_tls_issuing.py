"""TLS of stack prod in a cluster: its own gateway, issuer and certificate, with echoes where the services would run."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from cryptography import x509
from kubernetes.client import CoreV1Api
from kubernetes.config import new_client_from_config

from deployer.dns import balancer_addresses, compare
from deployer.issuance import Issuance, begin_issuance, read_issuance
from deployer.kube import Kube
from deployer.outside import judge_served
from infra.builders.ambassador import ACME_SERVICE, acme_mapping, acme_service
from infra.builders.network import Peer
from infra.builders.security import container_security_context, pod_security_context
from infra.builders.tls import certificate, cluster_issuer
from infra.catalogue import ACME_PATH, GATEWAY, GATEWAY_NAMESPACE, NAMESPACE
from infra.config import AcmeConfig
from infra.network_policy import solver_policy
from infra.observability.certificate import CERTIFICATE_ALERTS, ENDS, READY, RENEWAL
from infra.observability.dashboard import expressions
from tests.conftest import EmbeddedCluster
from tests.exported import CERT_MANAGERS, problem, read_exported
from tests.gateways.client import Gateway, read_frame, send_frame
from tests.gateways.cluster import place, with_echoes
from tests.infra.configs import PROD_GATEWAY_API
from tests.order.objects import Objects, eventually
from tests.order.stack import load_images, objects_of
from tests.prod.cert_manager import remove_cert_manager
from tests.prod.cert_manager_metrics import figure, scrape
from tests.prod.certificates import Issuing, issuing
from tests.prod.pebble import REFUSED
from tests.promql import Selector, selectors
from tests.repeating import Repeating

pytestmark = pytest.mark.cluster

HOST = "chat.stampchat-tests.org"
ELSEWHERE = "elsewhere.stampchat-tests.org"
EMISSARY = "emissary"
BY_EMISSARY = "emissary.stampchat-tests.org"
# Ask as Emissary does, which keeps name and path: the Mapping rewrites neither.
ASK = """
import sys, time, urllib.request
url, host, wanted = sys.argv[1:]
for _ in range(600):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host}), timeout=2) as answer:
            sys.exit(answer.read().decode() != wanted)
    except OSError:
        time.sleep(0.2)
"""
SOCKET = "/chat/socket/websocket?vsn=2.0.0&token=made-up"


@dataclass(frozen=True)
class Tls:
    """Hold a deployment that waits for its certificate, or has it.

    Attributes:
        kube: the cluster.
        objects: the same.
        issuing: who issues.
        gateway: how clients reach it, who trust the issuer's root and no other.
    """

    kube: Kube
    objects: Objects
    issuing: Issuing
    gateway: Gateway

    def served(self) -> x509.Certificate:
        """Shake hands anew and return the certificate that is shown."""
        with self.gateway.connect() as connection:
            assert isinstance(connection, ssl.SSLSocket)
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")

    def issuance(self, name: str) -> Issuance:
        """Read how far an issuer and a certificate of one name are."""
        return read_issuance(self.kube, issuer=name, certificate=name)


@pytest.fixture(scope="module")
def tls(embedded_cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    """Bring up stack prod's gateway with its certificate, and a load balancer's address for it."""
    folder = tmp_path_factory.mktemp("tls")
    kubeconfig, node = embedded_cluster.info.kubeconfig, embedded_cluster.info.address
    head, _, last = node.rpartition(".")
    objects = Objects(kubeconfig)
    objects.remove_namespaces()
    with (
        issuing(embedded_cluster.workspace, kubeconfig, host=f"{head}.{int(last) - 1}", folder=folder) as world,
        new_client_from_config(str(kubeconfig)) as connection,
    ):
        acme = {"server": world.pebble.directory, "caBundle": world.pebble.authority, "email": "ops@stampchat.app"}
        config = {**PROD_GATEWAY_API, "stampchat:hostname": HOST, "stampchat:acme": json.dumps(acme)}
        manifests = objects_of("prod", config, load_images(embedded_cluster), folder)
        world.await_ready()
        place(objects, [with_echoes(item) for item in manifests if item["kind"] != "HorizontalPodAutoscaler"])
        core = CoreV1Api(connection)
        status = {"status": {"loadBalancer": {"ingress": [{"ip": node}]}}}
        core.patch_namespaced_service_status(GATEWAY, GATEWAY_NAMESPACE, status)
        trust = ssl.create_default_context(cadata=world.pebble.roots)
        gateway = Gateway("prod's", node, 443, hostname=HOST, secure=trust, clear_port=80)
        kube = cast("Kube", SimpleNamespace(connection=connection, core=core))
        yield Tls(kube, objects, world, gateway)
        # While cert-manager runs: it lets go of its challenges itself.
        objects.remove_namespaces()
    remove_cert_manager(kubeconfig)
    objects.close()


def await_words(read: Callable[[], Issuance], said: str) -> Issuance:
    """Return the reading in which something is said: the next may meet cert-manager between two tries, with no word."""
    found: list[Issuance] = []

    def is_told() -> bool:
        found[:] = [read()]
        return any(said in words for words in found[0].words)

    eventually(is_told, said)
    return found[0]


def test_a_name_that_leads_nowhere_is_told_with_the_record_to_make(tls: Tls) -> None:
    """By DNS's own answer and by the challenge's own words."""
    balancer = balancer_addresses(tls.kube, GATEWAY_NAMESPACE)

    found = compare(HOST, balancer, resolve=lambda _: [])

    assert [(record.kind, record.value) for record in found.records] == [("A", tls.gateway.address)]
    assert not found.certificate_can_work
    words = await_words(lambda: read_issuance(tls.kube), "propagation").words
    assert "Challenge" in str(words)
    assert any(f"lookup {HOST}" in each for each in words)


def test_the_certificate_comes_once_the_name_leads_here(tls: Tls) -> None:
    """By itself: the challenge passes gateway, redirect, network policies and Pod Security as stack prod has them."""
    tls.issuing.names.lead(HOST, tls.gateway.address)

    eventually(lambda: read_issuance(tls.kube).ready, "a certificate")

    found = read_issuance(tls.kube)
    assert found.words == ()
    ends = dt.datetime.fromisoformat(found.ends)
    assert dt.timedelta(days=89) < ends - dt.datetime.now(dt.UTC) < dt.timedelta(days=91)
    eventually(lambda: _reached(tls), "https with the certificate that was issued")
    with tls.gateway.connect() as connection:
        assert isinstance(connection, ssl.SSLSocket)
        served = connection.getpeercert(binary_form=True) or b""
    assert judge_served(served, HOST, dt.datetime.now(dt.UTC)) == ""
    assert tls.gateway.ask("/auth/test").place == "auth:public"
    assert tls.gateway.ask("/auth/test", clear=True).status == 301


def _reached(tls: Tls) -> bool:
    with contextlib.suppress(OSError):
        return tls.gateway.ask("/chat/test").place == "chat:public"
    return False


def test_the_certificates_alerts_and_panels_ask_what_cert_manager_tells(tls: Tls) -> None:
    """Its pod is the one that the stack's monitor chooses, and the end that it tells is the certificate's."""
    ends = dt.datetime.fromisoformat(read_issuance(tls.kube).ends).timestamp()
    eventually(lambda: figure(scrape(tls.objects, tls.kube), ENDS) == ends, "the end in cert-manager's metrics")

    told = scrape(tls.objects, tls.kube)

    assert ends - figure(told, RENEWAL) == pytest.approx(30 * 86400, abs=86400)
    asked = [selector for alert in CERTIFICATE_ALERTS for selector in selectors(alert.expr)]
    asked += [found for text in expressions() for found in selectors(text) if found.name.startswith(CERT_MANAGERS)]
    assert {selector.name for selector in asked} == {ENDS, RENEWAL, READY}
    exported = read_exported(told)
    assert [wrong for selector in asked if (wrong := problem(selector, exported))] == []
    # Self-test: a misspelt series and another certificate are found.
    assert problem(Selector(f"{ENDS}s", ()), exported)
    assert problem(Selector(ENDS, (("name", "somebody-elses"),)), exported)


class Requests(Repeating):
    """Ask over and over, with a handshake each time, and keep what was not answered as it should be."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(pause=0.02)
        self.gateway = gateway
        self.asked = 0
        self.lost: list[object] = []

    def once(self) -> None:
        self.asked += 1
        try:
            answer = self.gateway.ask("/auth/test")
        except OSError as error:
            self.lost.append(error)
        else:
            self.lost += [] if answer.status == 200 else [answer]


def test_a_renewal_disturbs_nobody(tls: Tls) -> None:
    """Sockets live on, no request fails, and whoever shakes hands then is shown the new certificate."""
    before = tls.served()
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(tls.gateway.socket(SOCKET)) for _ in range(4)]
        for answer, connection in sockets:
            assert answer.status == 101
            read_frame(connection)
        requests = held.enter_context(Requests(tls.gateway))

        assert begin_issuance(tls.kube, failed_only=False)

        eventually(lambda: tls.served().serial_number != before.serial_number, "a new certificate")
        after = tls.served()
        for number, (_, connection) in enumerate(sockets):
            send_frame(connection, str(number).encode())
            assert read_frame(connection) == str(number).encode()
    assert after.not_valid_after_utc >= before.not_valid_after_utc
    assert after.public_key() != before.public_key()
    assert requests.asked > 10
    assert requests.lost == []


@pytest.mark.parametrize(
    ("name", "host", "changed", "said"),
    [
        (
            "refused",
            REFUSED,
            {},
            "errored, Failed to create Order: 400 urn:ietf:params:acme:error:rejectedIdentifier: Order included an",
        ),
        (
            "mail",
            HOST,
            {"email": "ops@ops@stampchat.app"},
            '400 urn:ietf:params:acme:error:invalidContact: contact email "ops@ops@stampchat.app" is invalid',
        ),
        ("untrusted", HOST, {"ca_bundle": ""}, "x509: certificate signed by unknown authority"),
        ("elsewhere", ELSEWHERE, {}, f"propagation: failed to perform self check GET request 'http://{ELSEWHERE}"),
    ],
)
def test_what_keeps_a_certificate_away_is_told_in_its_own_words(
    tls: Tls, name: str, host: str, changed: dict[str, Any], said: str
) -> None:
    """An authority that refuses, an address that it does not take, a server that is not trusted, a name elsewhere."""
    head, _, last = tls.gateway.address.rpartition(".")
    tls.issuing.names.lead(ELSEWHERE, f"{head}.{int(last) - 1}")
    given = {"server": tls.issuing.pebble.directory, "email": "ops@stampchat.app"}
    acme = AcmeConfig(**{**given, "ca_bundle": tls.issuing.pebble.authority, **changed})
    issuer, wanted = cluster_issuer(acme, "gateway-api"), certificate(host, GATEWAY_NAMESPACE)
    for item in (issuer, wanted):
        item["metadata"]["name"] = name
    issuer["spec"]["acme"]["privateKeySecretRef"]["name"] = wanted["spec"]["secretName"] = name
    wanted["spec"]["issuerRef"]["name"] = name
    tls.objects.apply(issuer)
    tls.objects.apply(wanted)

    found = await_words(lambda: tls.issuance(name), said)

    assert not found.ready
    assert sum(said in words for words in found.words) == 1
    tls.objects.delete(wanted)
    tls.objects.delete(issuer)


def test_the_solver_is_reached_from_emissarys_namespace_by_our_service(
    tls: Tls, embedded_cluster: EmbeddedCluster
) -> None:
    """Under the application's own Pod Security and policies, and no controller of ingresses takes part."""
    pebble, objects = tls.issuing.pebble, tls.objects
    issuer = cluster_issuer(
        AcmeConfig(server=pebble.directory, email="ops@stampchat.app", ca_bundle=pebble.authority), "ambassador"
    )
    wanted = certificate(BY_EMISSARY, NAMESPACE)
    for item in (issuer, wanted):
        item["metadata"]["name"] = "by-emissary"
    issuer["spec"]["acme"]["privateKeySecretRef"]["name"] = wanted["spec"]["secretName"] = "by-emissary"
    wanted["spec"]["issuerRef"]["name"] = "by-emissary"
    made = [acme_service(), solver_policy(NAMESPACE, Peer(namespace=EMISSARY)), issuer, wanted]
    objects.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": EMISSARY}})
    for item in made:
        objects.apply(item)
    try:
        challenge = _challenge(objects)
        backend = acme_mapping(BY_EMISSARY)["spec"]["service"]
        assert backend == f"http://{ACME_SERVICE}.{NAMESPACE}:8089"
        asks = _pod(
            load_images(embedded_cluster)["services"],
            [f"{backend}{ACME_PATH}{challenge['token']}", BY_EMISSARY, challenge["key"]],
        )
        objects.apply(asks)
        eventually(lambda: _phase(objects, asks) in {"Succeeded", "Failed"}, "the answer of the solver")
        assert _phase(objects, asks) == "Succeeded"
    finally:
        for item in reversed(made):
            objects.delete(item)
        objects.remove_namespaces([EMISSARY])


def _challenge(objects: Objects) -> Any:
    path = f"/apis/acme.cert-manager.io/v1/namespaces/{NAMESPACE}/challenges"

    def ours() -> list[Any]:
        listed = (objects.read(path) or {"items": []})["items"]
        return [item["spec"] for item in listed if item["spec"]["dnsName"] == BY_EMISSARY]

    eventually(ours, "a challenge")
    return ours()[0]


def _pod(image: str, arguments: list[str]) -> dict[str, Any]:
    asks = {
        "name": "asks",
        "image": image,
        "command": ["/usr/bin/python3.11", "-c", ASK, *arguments],
        "securityContext": container_security_context(),
    }
    spec = {"restartPolicy": "Never", "securityContext": pod_security_context(), "containers": [asks]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asks", "namespace": EMISSARY}, "spec": spec}


def _phase(objects: Objects, pod: dict[str, Any]) -> str:
    return str(((objects.get(pod) or {}).get("status") or {}).get("phase"))
