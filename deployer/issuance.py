"""Tell how far the certificate is, in the words of cert-manager's own objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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


def read_issuance(kube: Kube) -> Issuance:
    """Follow the certificate from its issuer to its last challenge; never fails, since it explains other failures.

    Args:
        kube: the cluster.
    """
    issuer = _read(kube, f"{_CERTIFICATES}/clusterissuers/{ISSUER}")
    if issuer is None:
        return Issuance(ready=False, ends="", words=("There is no ClusterIssuer of ours.",))
    for namespace in NAMESPACES:
        certificate = _read(kube, f"{_CERTIFICATES}/namespaces/{namespace}/certificates/{CERTIFICATE}")
        if certificate is not None:
            ready = _condition(certificate, "Ready").get("status") == "True"
            ends = str((certificate.get("status") or {}).get("notAfter") or "")
            chain = [issuer, certificate, *_below(kube, namespace, certificate)]
            return Issuance(ready, ends, tuple(filter(None, map(_says, chain))))
    words = (_says(issuer) or f"ClusterIssuer {ISSUER} is ready.", "There is no Certificate of ours yet.")
    return Issuance(ready=False, ends="", words=words)


@contextmanager
def explained(workspace: Workspace, settings: Mapping[str, Any]) -> Iterator[None]:
    """Let cert-manager say more when an update failed at the certificate.

    The engine knows of the Certificate alone; the reason stands in what cert-manager made for it, or in the DNS.

    Args:
        workspace: the checkout.
        settings: the stack's tracked file.

    Raises:
        DeployError: the one from inside, with more to read.
    """
    try:
        yield
    except DeployError as error:
        if not any(f"{kind} {name}" in error.said for kind, name in _OURS):
            raise
        hostname = str((settings.get("config") or {}).get("stampchat:hostname") or "")
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


def _says(item: Json) -> str:
    """Return what an object says that is not as it should be, or nothing."""
    kind = str(item.get("kind") or "")
    status = item.get("status") or {}
    label = f"{kind} {item['metadata']['name']}"
    if "conditions" in status or kind in {"ClusterIssuer", "Certificate"}:
        told = [_condition(item, name) for name in ("Ready", "Issuing", "InvalidRequest", "Denied")]
        wrong = [found for found in told if found and (found["type"] == "Ready") != (found["status"] == "True")]
        failed = [found for found in told if found.get("type") == "Issuing" and found.get("reason") == "Failed"]
        said = "; ".join(
            dict.fromkeys(f"{found['type']} is {found['status']}, {_reason(found)}" for found in [*wrong, *failed])
        )
        return f"{label}: {said}" if said else "" if told[0] else f"{label}: cert-manager has not looked at it"
    state, reason = str(status.get("state") or "new"), str(status.get("reason") or "")
    return "" if state == "valid" else f"{label}: {state}{reason and ', '}{reason}"


def _reason(found: Json) -> str:
    reason, message = str(found.get("reason") or ""), " ".join(str(found.get("message") or "").split())
    return f"{reason}: {message}" if message else reason


def _condition(item: Json, kind: str) -> Json:
    conditions = (item.get("status") or {}).get("conditions") or []
    found: Json = next((each for each in conditions if each.get("type") == kind), {})
    return found


def _read(kube: Kube, path: str) -> dict[str, Any] | None:
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        found: dict[str, Any] = kube.connection.call_api(
            path,
            "GET",
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
            response_type="object",
            _return_http_data_only=True,
            _request_timeout=_SECONDS,
        )
    except (ApiException, HTTPError, OSError):
        return None
    return found
