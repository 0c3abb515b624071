"""Write down every exception from the rules, each with its reason; every preview shows those that it met."""

from __future__ import annotations

from policy.rule import Excepted

EXCEPTIONS = (
    Excepted(
        "no-secret-access",
        "Role",
        "gateway",
        "Traefik reads certificates from Secrets, asks for all of a namespace it watches, and does not start without",
    ),
    Excepted("one-way-in", "Service", "gateway", "this is the gateway"),
    Excepted(
        "selects-something",
        "Service",
        "acme-http01-solver",
        "cert-manager's solver pods are there for a minute, while a challenge is under way",
    ),
    Excepted(
        "selects-something",
        "NetworkPolicy",
        "acme-solver",
        "cert-manager's solver pods are there for a minute, while a challenge is under way",
    ),
)


def find_exception(rule: str, kind: str, name: str) -> Excepted | None:
    """Return the exception of an object from a rule, if there is one."""
    return next((one for one in EXCEPTIONS if (one.rule, one.kind, one.name) == (rule, kind, name)), None)
