"""See what is definite about a certificate of cert-manager's, and about the issuer of one."""

from __future__ import annotations

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import text_at
from deployer.plugins.kubernetes.readiness.subject import condition
from deployer.plugins.kubernetes.readiness.verdict import Trouble

# An ACME server that is away for a moment is asked again; what it refuses (RFC 8555, 6.7) stays refused.
_REFUSED = "urn:ietf:params:acme:error:"
_REFUSED_PATIENCE = 2.0
_SILENT_PATIENCE = 60.0


def certificate_troubles(live: Manifest) -> tuple[Trouble, ...]:
    """Tell that an issuance has failed: cert-manager tries again in an hour at the earliest."""
    issuing = condition(live, "Issuing")
    if issuing.get("status") != "False" or issuing.get("reason") != "Failed":
        return ()
    return (Trouble("failed", _one_line(str(issuing.get("message") or "the issuance has failed")), patience=0),)


def issuer_troubles(live: Manifest) -> tuple[Trouble, ...]:
    """Tell that the account could not be made."""
    ready = condition(live, "Ready")
    if ready.get("status") != "False" or not text_at(ready, "message"):
        return ()
    said = _one_line(str(ready["message"]))
    return (Trouble(said, said, patience=_REFUSED_PATIENCE if _REFUSED in said else _SILENT_PATIENCE),)


def _one_line(text: str) -> str:
    return " ".join(text.split())
