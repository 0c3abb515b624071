"""From a name to the deployment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deployer import dns
from deployer.dns import Dns, Record, balancer_addresses, compare, probe_challenge, wait_for
from deployer.errors import DeployError
from deployer.kube import Kube
from tests.deployer.recorder import Recorder
from tests.ports import free_port

NAME = "chat.stampchat.app"
BALANCER = "lb-1.cloud.example"


def resolver(**known: list[str]) -> Callable[[str], list[str]]:
    """Answer for some names, given with _ for a dot."""
    return lambda name: known.get(name.replace(".", "_").replace("-", "_"), [])


@pytest.mark.parametrize(
    ("balancer", "resolves", "records", "leads"),
    [
        (["203.0.113.7"], {"chat_stampchat_app": ["203.0.113.7"]}, [("A", "203.0.113.7")], True),
        (["203.0.113.7"], {"chat_stampchat_app": ["203.0.113.8"]}, [("A", "203.0.113.7")], False),
        (["203.0.113.7"], {"chat_stampchat_app": ["203.0.113.7", "203.0.113.8"]}, [("A", "203.0.113.7")], False),
        (["203.0.113.7"], {}, [("A", "203.0.113.7")], False),
        (
            ["203.0.113.7", "2001:db8::7"],
            {"chat_stampchat_app": ["2001:db8::7", "203.0.113.7"]},
            [("A", "203.0.113.7"), ("AAAA", "2001:db8::7")],
            True,
        ),
        (
            [BALANCER],
            {"chat_stampchat_app": ["203.0.113.9"], "lb_1_cloud_example": ["203.0.113.9", "203.0.113.10"]},
            [("CNAME", BALANCER)],
            True,
        ),
        ([], {"chat_stampchat_app": ["203.0.113.7"]}, [], False),
    ],
)
def test_a_balancer_s_addresses_make_the_records(
    balancer: list[str],
    resolves: dict[str, list[str]],
    records: list[tuple[str, str]],
    leads: bool,  # noqa: FBT001  # pytest gives parameters by name
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer that also leads elsewhere is not yet right: one in two clients would go there."""
    monkeypatch.setattr(dns, "probe_challenge", lambda _: "open")

    found = compare(NAME, balancer, resolve=resolver(**resolves))

    assert found.records == tuple(Record(NAME, kind, value) for kind, value in records)
    assert found.leads_here is leads
    assert found.certificate_can_work is leads


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Serve one status on a port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(("status", "said"), [(404, "open"), (301, "open"), (503, "open"), (403, "answers 403")])
def test_the_way_of_a_challenge_is_tried_in_clear(status: int, said: str) -> None:
    """A challenge that nobody set is a 404, or a 503 where no solver runs."""
    with answering(status) as port:
        assert said in probe_challenge("127.0.0.1", port)


def test_a_closed_port_is_told() -> None:
    """With the reason."""
    assert "does not answer" in probe_challenge("127.0.0.1", free_port())


def state(resolves_to: str, *, leads: bool) -> Dns:
    """Make a finding."""
    records = (Record(NAME, "A", "203.0.113.7"),)
    return Dns(NAME, ("203.0.113.7",), records, (resolves_to,), leads, "open" if leads else "not asked")


def test_waiting_ends_when_the_name_leads_here() -> None:
    """Each look is told."""
    looks = iter([state("203.0.113.8", leads=False), state("203.0.113.7", leads=True)])
    display = Recorder()

    assert wait_for(lambda: next(looks), display, seconds=5, pause=0).certificate_can_work
    assert display.lines == [f"note {NAME} leads to 203.0.113.8; waiting"]


def test_waiting_ends_with_the_record_that_is_missing() -> None:
    """So that whoever reads it in a log knows what to do."""
    with pytest.raises(DeployError, match=r"leads to 203\.0\.113\.8") as caught:
        wait_for(lambda: state("203.0.113.8", leads=False), Recorder(), seconds=0, pause=1)

    assert f"{NAME} A 203.0.113.7" in caught.value.said


def service(kind: str, *ingress: Any) -> SimpleNamespace:
    """Make a Service as the client library returns it."""
    balancer = SimpleNamespace(ingress=list(ingress) or None)
    return SimpleNamespace(spec=SimpleNamespace(type=kind), status=SimpleNamespace(load_balancer=balancer))


def kube(*services: SimpleNamespace) -> Kube:
    """Make a cluster that has these Services."""
    core = SimpleNamespace(list_namespaced_service=lambda *_, **__: SimpleNamespace(items=list(services)))
    return cast("Kube", SimpleNamespace(core=core))


def test_addresses_are_those_of_load_balancers_alone() -> None:
    """A balancer that the cloud is still making has none; no balancer at all is an error."""
    by_ip = SimpleNamespace(ip="203.0.113.7", hostname=None)
    by_name = SimpleNamespace(ip=None, hostname=BALANCER)

    assert balancer_addresses(kube(service("ClusterIP"), service("LoadBalancer", by_ip, by_name)), "n") == [
        "203.0.113.7",
        BALANCER,
    ]
    assert balancer_addresses(kube(service("LoadBalancer")), "n") == []
    with pytest.raises(DeployError, match="no load balancer in the namespace emissary"):
        balancer_addresses(kube(service("ClusterIP")), "emissary")
