"""How far a certificate is, out of what cert-manager's objects say."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deployer import issuance
from deployer.errors import DeployError
from deployer.issuance import explained, read_issuance
from deployer.kube import Kube
from deployer.workspace import load_workspace

GATEWAY = "/apis/cert-manager.io/v1/namespaces/stampchat-gateway"
ACME = "/apis/acme.cert-manager.io/v1/namespaces/stampchat-gateway"


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    """Make a condition."""
    return {"type": kind, "status": status, "reason": reason, "message": message}


def item(kind: str, name: str, status: dict[str, Any], owner: str = "", made: int = 1) -> dict[str, Any]:
    """Make an object as the API server gives it, with its name for its uid."""
    metadata = {"name": name, "uid": name, "creationTimestamp": f"2026-11-24T10:00:{made:02}Z"}
    owners = {"ownerReferences": [{"uid": owner}]} if owner else {}
    return {"kind": kind, "metadata": {**metadata, **owners}, "status": status}


GOOD_ISSUER = item("ClusterIssuer", "stampchat", {"conditions": [condition("Ready", "True", "ACMEAccountRegistered")]})
WAITING = item(
    "Certificate",
    "stampchat-tls",
    {
        "conditions": [
            condition("Ready", "False", "DoesNotExist", "Issuing certificate as Secret does not exist"),
            condition("Issuing", "True", "DoesNotExist", "Issuing certificate as Secret does not exist"),
        ]
    },
)


def cluster(answer: Callable[[str, str, Any], Any]) -> Kube:
    """Make a cluster that answers calls by a function of method, path and body; None is a 404."""

    def request(method: str, path: str, *, body: str | None, **_: object) -> SimpleNamespace:
        found = answer(method, path, json.loads(body) if body else None)
        return SimpleNamespace(status=404 if found is None else 200, data=json.dumps(found or {}).encode())

    connection = SimpleNamespace(
        configuration=SimpleNamespace(host=""),
        rest_client=SimpleNamespace(pool_manager=SimpleNamespace(request=request)),
        update_params_for_auth=lambda *_: None,
    )
    return cast("Kube", SimpleNamespace(connection=connection))


def kube(**served: Any) -> Kube:
    """Make a cluster that serves these, by the last word of their path."""

    def answer(_: str, path: str, __: Any) -> Any:
        found = served.get(path.rpartition("/")[2].replace("-", "_"))
        if path.endswith("stampchat-tls") and GATEWAY not in path:
            return None
        return {"items": found} if isinstance(found, list) else found

    return cluster(answer)


def test_a_good_certificate_has_an_end_and_nothing_to_complain_of() -> None:
    """The request and the order that it came by are still there."""
    status = {"conditions": [condition("Ready", "True", "Ready")], "notAfter": "2027-02-22T10:00:00Z"}
    request = item("CertificateRequest", "r", {"conditions": [condition("Ready", "True", "Issued")]}, "stampchat-tls")

    found = read_issuance(
        kube(
            stampchat=GOOD_ISSUER,
            stampchat_tls=item("Certificate", "stampchat-tls", status),
            certificaterequests=[request],
            orders=[item("Order", "o", {"state": "valid"}, "r")],
            challenges=[],
        )
    )

    assert (found.ready, found.ends, found.words) == (True, "2027-02-22T10:00:00Z", ())


def test_a_challenge_that_cannot_pass_is_told_with_its_own_reason() -> None:
    """From the certificate down to it: the newest request's, and no other's."""
    pending = {"conditions": [condition("Ready", "False", "Pending", 'Waiting on order: "pending"')]}
    found = read_issuance(
        kube(
            stampchat=GOOD_ISSUER,
            stampchat_tls=WAITING,
            certificaterequests=[
                item("CertificateRequest", "new", pending, "stampchat-tls", made=2),
                item("CertificateRequest", "old", pending, "stampchat-tls", made=1),
                item("CertificateRequest", "foreign", pending, "another", made=3),
            ],
            orders=[item("Order", "o", {"state": "pending"}, "new"), item("Order", "of-old", {}, "old", made=9)],
            challenges=[
                item("Challenge", "c", {"state": "pending", "reason": "wrong status code '404', expected '200'"}, "o")
            ],
        )
    )

    assert not found.ready
    why = "DoesNotExist: Issuing certificate as Secret does not exist"
    assert found.words == (
        f"Certificate stampchat-tls: Ready is False, {why}",
        'CertificateRequest new: Ready is False, Pending: Waiting on order: "pending"',
        "Order o: pending",
        "Challenge c: pending, wrong status code '404', expected '200'",
    )


GIVEN_UP = item(
    "Certificate",
    "stampchat-tls",
    {
        "conditions": [
            condition("Ready", "False", "DoesNotExist", "Issuing certificate as Secret does not exist"),
            condition("Issuing", "False", "Failed", "It will be retried: the order is errored: 400 forbidden domain"),
        ]
    },
)


def test_what_others_only_repeat_is_said_once() -> None:
    """By whom it comes from."""
    failed = {"conditions": [condition("Ready", "False", "Failed", "the order is errored: 400 forbidden domain")]}
    served = {
        "stampchat": GOOD_ISSUER,
        "stampchat_tls": GIVEN_UP,
        "certificaterequests": [item("CertificateRequest", "r", failed, "stampchat-tls")],
        "orders": [item("Order", "o", {"state": "errored", "reason": "400\n\tforbidden domain"}, "r")],
    }

    assert read_issuance(kube(**served)).words == ("Order o: errored, 400 forbidden domain",)
    del served["orders"]
    (words,) = read_issuance(kube(**served)).words
    assert words == "CertificateRequest r: Ready is False, Failed: the order is errored: 400 forbidden domain"


def test_what_has_failed_is_tried_again_by_the_next_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, not when cert-manager's hour is over; and nothing else is touched."""
    calls: list[tuple[str, str, Any]] = []

    def answer(method: str, path: str, body: Any) -> Any:
        if not path.startswith(f"{GATEWAY}/certificates/stampchat-tls"):
            return None
        calls.append((method, path.removeprefix(f"{GATEWAY}/certificates/"), body))
        return {**served, "metadata": {**served["metadata"], "resourceVersion": "7"}}

    silent = cluster(answer)
    monkeypatch.setattr(issuance, "Kube", lambda *_: silent)
    for served in (WAITING, GIVEN_UP):  # noqa: B007  # what is served while the block runs
        with explained(load_workspace(), {"config": {"stampchat:hostname": "chat.stampchat.app"}}):
            pass

    *reads, (method, path, body) = calls
    assert [call[:2] for call in reads] == [("GET", "stampchat-tls")] * 2
    assert (method, path) == ("PATCH", "stampchat-tls/status")
    assert body["metadata"] == {"resourceVersion": "7"}
    assert {each["type"]: each["status"] for each in body["status"]["conditions"]} == {
        "Ready": "False",
        "Issuing": "True",
    }


def test_an_issuer_that_was_refused_is_told() -> None:
    """The server's own words, in one line."""
    refused = condition("Ready", "False", "ErrRegisterACMEAccount", "Failed to register:\n400 invalidContact")
    found = read_issuance(kube(stampchat=item("ClusterIssuer", "stampchat", {"conditions": [refused]})))

    assert found.words == (
        "ClusterIssuer stampchat: Ready is False, ErrRegisterACMEAccount: Failed to register: 400 invalidContact",
        "There is no Certificate of ours yet.",
    )


@pytest.mark.parametrize(
    ("served", "said"),
    [
        ({}, "There is no ClusterIssuer of ours."),
        (
            {"stampchat": item("ClusterIssuer", "stampchat", {})},
            "ClusterIssuer stampchat: cert-manager has not looked at it",
        ),
        ({"stampchat": GOOD_ISSUER}, "ClusterIssuer stampchat is ready."),
    ],
)
def test_what_is_missing_is_told(served: dict[str, Any], said: str) -> None:
    """A cluster that says nothing raises nothing, since all this explains another failure."""
    found = read_issuance(kube(**served))

    assert (found.ready, found.words[0]) == (False, said)


def test_an_update_that_failed_at_the_certificate_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """And every other failure is as it was."""
    monkeypatch.setattr(issuance, "Kube", lambda *_: kube(stampchat=GOOD_ISSUER, stampchat_tls=WAITING))
    settings = {"config": {"stampchat:hostname": "chat.stampchat.app"}}
    other = DeployError("The update failed at Deployment x.", said="Deployment x: no room", advice="Make room.")
    late = DeployError("The update failed.", said="Certificate stampchat-tls: was not ready after 600 s")

    with pytest.raises(DeployError) as caught, explained(load_workspace(), settings):
        raise other
    assert caught.value is other

    with pytest.raises(DeployError) as caught, explained(load_workspace(), settings):
        raise late
    assert caught.value.what == "The update failed."
    assert "was not ready after 600 s\nCertificate stampchat-tls: Ready is False, DoesNotExist" in caught.value.said
    assert "chat.stampchat.app" in caught.value.advice
