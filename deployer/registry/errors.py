"""What a push can fail with, besides what every command can.

DeployError
└── RegistryError: a registry refused, or did not answer as one
"""

from __future__ import annotations

import json

from deployer.errors import DeployError

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_LARGE, _TOO_MANY = 401, 403, 404, 413, 429
_LONGEST = 400


class RegistryError(DeployError):
    """Report what a registry did not do."""


def refusal(what: str, status: int, content_type: str, body: bytes, *, place: str, known: bool) -> RegistryError:
    """Turn a registry's answer into one paragraph.

    Args:
        what: what was asked for ("the layer base of services could not be sent").
        status: of the answer.
        content_type: of the answer.
        body: of the answer.
        place: the repository.
        known: whether credentials were sent along.
    """
    if "html" in content_type:
        said = f"{status}, and a web page instead of an answer ({_excerpt(body)})"
        advice = f"Is {place} a registry? A proxy or a login page may stand before it."
        return RegistryError(f"{what}: {place} does not answer as a registry.", said=said, advice=advice)
    return RegistryError(
        f"{what}: {place} refused.", said=_said(status, body), advice=_advice(status, place, known=known)
    )


def unreachable(place: str, reason: object) -> RegistryError:
    """Report a registry that did not answer at all."""
    return RegistryError(
        f"{place} does not answer.",
        said=_plain(str(reason)),
        advice="Check its name, the network, and HTTPS_PROXY where there is one. A registry that speaks http alone, "
        "and is not on this machine, needs --insecure.",
    )


def _said(status: int, body: bytes) -> str:
    try:
        errors = json.loads(body)["errors"]
        told = "; ".join(f"{each.get('code', '')} {each.get('message', '')}".strip() for each in errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        told = _excerpt(body)
    return f"{status} {told}".strip()


def _advice(status: int, place: str, *, known: bool) -> str:
    host = place.partition("/")[0]
    if status == _UNAUTHORIZED and not known:
        return f"There are no credentials for {host}: `docker login {host}`, or --username and --password-stdin."
    by_status = {
        _UNAUTHORIZED: f"The credentials for {host} are wrong or have expired; log in again.",
        _FORBIDDEN: f"These credentials may not push to {place}. Ask for the right to, or give another --registry.",
        _NOT_FOUND: f"Make the repository {place} first, where this registry does not make one by itself.",
        _TOO_LARGE: "Something before the registry limits the size of a request; it has to let 100 MB through.",
        _TOO_MANY: "It asks for patience: wait a while and run this again. What was sent is not sent again.",
    }
    other = "Run this again; what was sent is not sent again. The registry's own log may say more."
    return by_status.get(status, other)


def _excerpt(body: bytes) -> str:
    return _plain(body[:_LONGEST].decode(errors="replace"))


def _plain(text: str) -> str:
    return " ".join("".join(sign for sign in text if sign.isprintable() or sign.isspace()).split())
