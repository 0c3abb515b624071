"""Get what a registry asks to be shown: HTTP's basic scheme, or a token of its token service.

https://distribution.github.io/distribution/spec/auth/token/ and https://distribution.github.io/distribution/spec/auth/oauth/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import urllib3

from deployer.registry.credentials import Credentials
from deployer.registry.errors import RegistryError, refusal, unreachable

_OK = 200
_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def authorization(challenge: str, credentials: Credentials, pool: urllib3.PoolManager, *, plain: bool) -> str:
    """Answer a challenge with the value of an authorization header, or with nothing where there is none.

    Args:
        challenge: the registry's www-authenticate header.
        credentials: what there is to show.
        pool: asks the token service.
        plain: whether the registry is asked by http; its token service may be then, too.

    Raises:
        RegistryError: the token service refuses, or would get a password in clear.
    """
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic":
        return credentials.basic if credentials.username else ""
    if scheme.lower() != "bearer":
        return ""
    asked = dict(_PARAMETER.findall(rest))
    realm = asked.get("realm", "")
    if urlsplit(realm).scheme != "https" and not plain:
        raise RegistryError(
            f"The registry sends its users to {realm or 'nowhere'} for a token, which is no https address.",
            advice="Nothing was sent there. Ask whoever keeps the registry.",
        )
    return f"Bearer {_token(realm, asked, credentials, pool)}"


def _token(realm: str, asked: Mapping[str, str], credentials: Credentials, pool: urllib3.PoolManager) -> str:
    query = {name: asked[name] for name in ("service", "scope") if asked.get(name)}
    try:
        if credentials.identity_token:
            form = {**query, "grant_type": "refresh_token", "client_id": "stampchat"}
            body = urlencode({**form, "refresh_token": credentials.identity_token})
            form_type = {"content-type": "application/x-www-form-urlencoded"}
            answer = pool.request("POST", realm, body=body, headers=form_type, redirect=False)
        else:
            shown = {"authorization": credentials.basic} if credentials else {}
            address = f"{realm}{'&' if urlsplit(realm).query else '?'}{urlencode(query)}"
            answer = pool.request("GET", address, headers=shown, redirect=False)
    except urllib3.exceptions.HTTPError as error:
        raise unreachable(urlsplit(realm).netloc, error) from error
    try:
        said = json.loads(answer.data) if answer.status == _OK else {}
        token = str(said.get("token") or said.get("access_token") or "")
    except (ValueError, AttributeError):
        token = ""
    if not token:
        kind = answer.headers.get("content-type", "")
        place, known = urlsplit(realm).netloc, bool(credentials)
        raise refusal("No token could be had", answer.status, kind, answer.data, place=place, known=known)
    return token
