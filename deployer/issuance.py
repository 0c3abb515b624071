"""Tell how far the certificate is, in the words of cert-manager's own objects."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from deployer.errors import DeployError
from deployer.kube import NAMESPACES, Kube
from deployer.workspace import Workspace

Json = Mapping[str, Any]

# The program's own names (infra/builders/tls.py).
ISSUER = "stampchat"
CERTIFICATE = "stampchat-tls"
_OURS = (("ClusterIssuer", ISSUER), ("Certificate", CERTIFICATE))
_CERTIFICATES = "/apis/cert-manager.io/v1"
_ACME = "/apis/acme.cert-manager.io/v1"
_SECONDS = 5


@dataclass(frozen=True)
class Issuance:
    """Say how far the certificate is.

    Attributes:
        ready: whether one is there that is good.
        ends: when the one that is there ends, as cert-manager writes it; nothing while there is none.
        words: what each object of cert-manager's says that is not as it should be, from the issuer to the challenge.
    """

    ready: bool
    ends: str
    words: tuple[str, ...]


def read_issuance(kube: Kube, *, issuer: str = ISSUER, certificate: str = CERTIFICATE) -> Issuance:
    """Follow the certificate from its issuer to its last challenge; never fails, since it explains other failures.

    Args:
        kube: the cluster.
        issuer: the ClusterIssuer's name.
        certificate: the Certificate's name.
    """
    signs = _read(kube, f"{_CERTIFICATES}/clusterissuers/{issuer}")
    if signs is None:
        return Issuance(ready=False, ends="", words=("There is no ClusterIssuer of ours.",))
    for namespace in NAMESPACES:
        found = _read(kube, f"{_CERTIFICATES}/namespaces/{namespace}/certificates/{certificate}")
        if found is not None:
            ready = _condition(found, "Ready").get("status") == "True"
            ends = str((found.get("status") or {}).get("notAfter") or "")
            chain = [signs, found, *_below(kube, namespace, found)]
            return Issuance(ready, ends, _words(chain))
    words = _words([signs]) or (f"ClusterIssuer {issuer} is ready.",)
    return Issuance(ready=False, ends="", words=(*words, "There is no Certificate of ours yet."))


def begin_issuance(kube: Kube, *, certificate: str = CERTIFICATE, failed_only: bool = True) -> bool:
    """Have the certificate issued now, as `cmctl renew` does; tell whether it was begun.

    After a failure cert-manager waits for an hour, and longer each time, before it tries again.

    Args:
        kube: the cluster.
        certificate: its name.
        failed_only: leave alone what has not failed.
    """
    for namespace in NAMESPACES:
        path = f"{_CERTIFICATES}/namespaces/{namespace}/certificates/{certificate}"
        found = _read(kube, path)
        if found is not None and (_failure(found) or not failed_only):
            others = [each for each in found["status"].get("conditions") or [] if each["type"] != "Issuing"]
            now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            begun = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "lastTransitionTime": now}
            begun |= {"message": "Certificate re-issuance manually triggered"}
            version = {"resourceVersion": found["metadata"]["resourceVersion"]}
            change = {"metadata": version, "status": {"conditions": [*others, begun]}}
            return _call(kube, "PATCH", f"{path}/status", change) is not None
    return False


@contextmanager
def explained(workspace: Workspace, settings: Mapping[str, Any]) -> Iterator[None]:
    """Have a certificate that failed before tried again, and let cert-manager say more when an update fails at it.

    The engine knows of the Certificate alone; the reason stands in what cert-manager made for it, or in the DNS.

    Args:
        workspace: the checkout.
        settings: the stack's tracked file.

    Raises:
        DeployError: the one from inside, with more to read.
    """
    hostname = str((settings.get("config") or {}).get("stampchat:hostname") or "")
    if hostname:
        begin_issuance(Kube(workspace, settings))
    try:
        yield
    except DeployError as error:
        if not hostname or not any(f"{kind} {name}" in error.said for kind, name in _OURS):
            raise
        words = read_issuance(Kube(workspace, settings)).words
        raise DeployError(
            error.what,
            said="\n".join([error.said, *words]),
            advice=f"`./stampchat dns` says where {hostname} leads and whether a challenge can pass; mend what is"
            " said above and run `./stampchat up` again: it goes on from there.",
        ) from error


def _below(kube: Kube, namespace: str, certificate: Json) -> list[Json]:
    """Find the newest request of a certificate, its order, and the order's challenges."""
    requests = _owned(kube, f"{_CERTIFICATES}/namespaces/{namespace}/certificaterequests", certificate)
    if not requests:
        return []
    orders = _owned(kube, f"{_ACME}/namespaces/{namespace}/orders", requests[-1])
    challenges = _owned(kube, f"{_ACME}/namespaces/{namespace}/challenges", orders[-1]) if orders else []
    return [requests[-1], *orders[-1:], *challenges]


def _owned(kube: Kube, path: str, owner: Json) -> list[Json]:
    items: Iterable[Json] = (_read(kube, path) or {}).get("items") or []
    uid = owner["metadata"]["uid"]
    owned = [item for item in items if any(ref["uid"] == uid for ref in item["metadata"].get("ownerReferences") or [])]
    return sorted(owned, key=lambda item: str(item["metadata"]["creationTimestamp"]))


def _words(chain: Sequence[Json]) -> tuple[str, ...]:
    """Let each object speak that has something to say, but none that only repeats one below it."""
    kept: list[str] = []
    reasons: list[str] = []
    for item in reversed(chain):
        reason = _reason(item)
        if reason and not any(below in reason for below in reasons):
            kept.append(f"{item['kind']} {item['metadata']['name']}: {reason}")
        reasons += [_message(item)] if _message(item) else []
    return tuple(reversed(kept))


def _reason(item: Json) -> str:
    """Return what an object says that is not as it should be, or nothing."""
    if item["kind"] in {"Order", "Challenge"}:
        state = str((item.get("status") or {}).get("state") or "new")
        return "" if state == "valid" else ", ".join(filter(None, [state, _message(item)]))
    ready = _condition(item, "Ready")
    if ready.get("status") == "True":
        return ""
    told = _failure(item) or _condition(item, "InvalidRequest") or _condition(item, "Denied") or ready
    if not told:
        return "cert-manager has not looked at it"
    return ": ".join(filter(None, [f"{told['type']} is {told['status']}, {told.get('reason')}", _message(item)]))


def _message(item: Json) -> str:
    told = _failure(item) or _condition(item, "Ready")
    text = (item.get("status") or {}).get("reason") if item["kind"] in {"Order", "Challenge"} else told.get("message")
    return " ".join(str(text or "").split())


def _failure(item: Json) -> Json:
    """Return a Certificate's condition by which cert-manager has given up for an hour or more."""
    found = _condition(item, "Issuing")
    return found if found.get("status") == "False" and found.get("reason") == "Failed" else {}


def _condition(item: Json, kind: str) -> Json:
    conditions = (item.get("status") or {}).get("conditions") or []
    found: Json = next((each for each in conditions if each.get("type") == kind), {})
    return found


def _read(kube: Kube, path: str) -> dict[str, Any] | None:
    return _call(kube, "GET", path)


def _call(kube: Kube, method: str, path: str, change: Json | None = None) -> dict[str, Any] | None:
    from urllib3.exceptions import HTTPError

    client = kube.connection
    headers = {"Accept": "application/json"} | ({"Content-Type": "application/merge-patch+json"} if change else {})
    client.update_params_for_auth(headers, [], ["BearerToken"])
    try:
        # The client's own call raises at what is not there, and warns of how it does that.
        answer = client.rest_client.pool_manager.request(
            method,
            f"{client.configuration.host}{path}",
            body=json.dumps(change) if change else None,
            headers=headers,
            timeout=_SECONDS,
            retries=False,
        )
        found: dict[str, Any] = json.loads(answer.data)
    except (HTTPError, OSError, ValueError):
        return None
    return found if answer.status < HTTPStatus.BAD_REQUEST else None
