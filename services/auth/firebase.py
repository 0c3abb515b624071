"""Verify a Firebase ID token by Firebase's own rules.

https://firebase.google.com/docs/auth/admin/verify-id-tokens#verify_id_tokens_using_a_third-party_jwt_library
"""

from __future__ import annotations

import time
from typing import Any

import jwt

from services.auth.errors import LoginRefused
from services.auth.firebase_keys import FirebaseKeys
from services.auth.providers import MAX_FIELD, Profile

KEYS_URL = "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com"
# The audience of a custom token, which an app must exchange before it logs in here.
CUSTOM_TOKEN_AUDIENCE = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"  # noqa: S105  # an address
MAX_SUB = 128
# The Admin SDK allows up to 60 s; two machines' clocks differ a little.
LEEWAY_SECONDS = 30


class FirebaseVerifier:
    """Turn an ID token into a profile.

    Args:
        project_id: the Firebase project whose tokens are ours.
        keys: the provider's public keys.
    """

    def __init__(self, project_id: str, keys: FirebaseKeys) -> None:
        self._project_id = project_id
        self._keys = keys

    async def __call__(self, token: str) -> Profile:
        """Return whom the token speaks for.

        Raises:
            LoginRefused: the token breaks a rule.
            ProviderUnavailable: the keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            kid = header.get("kid")
            # PyJWT holds alg to the list below as well; this is for the message and before any fetch.
            if header.get("alg") != "RS256" or not isinstance(kid, str):
                raise LoginRefused("The token is not a Firebase ID token.")
            key = await self._keys.find(kid)
            if key is None:
                raise LoginRefused("The token is signed with a key that the provider does not have.")
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=[self._project_id, CUSTOM_TOKEN_AUDIENCE],
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "auth_time", "sub", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise LoginRefused("The token has expired.", code="token_expired") from error
        except (jwt.PyJWTError, ValueError) as error:
            raise LoginRefused("The token is not a valid Firebase ID token of this project.") from error
        self._check(claims)
        return _profile(claims)

    def _check(self, claims: dict[str, Any]) -> None:
        if claims["aud"] == CUSTOM_TOKEN_AUDIENCE:
            raise LoginRefused("This is a custom token; an ID token is needed.", code="custom_token")
        # aud must be the project itself: a list that names it among others is no Firebase token.
        if claims["aud"] != self._project_id or claims["iss"] != f"https://securetoken.google.com/{self._project_id}":
            raise LoginRefused("The token is not of this project.")
        sub, auth_time = claims["sub"], claims["auth_time"]
        if not isinstance(sub, str) or not 0 < len(sub) <= MAX_SUB or "\0" in sub:
            raise LoginRefused("The token names no user.")
        if isinstance(auth_time, bool) or not isinstance(auth_time, int | float):
            raise LoginRefused("The token does not say when its user logged in.")
        if auth_time > time.time() + LEEWAY_SECONDS:
            raise LoginRefused("The token's user has not logged in yet.")


def _profile(claims: dict[str, Any]) -> Profile:
    name = _text(claims.get("name"))
    return Profile(
        uid=claims["sub"],
        name=name[:MAX_FIELD] if name else None,
        email=_whole(claims.get("email")),
        picture=_whole(claims.get("picture")),
    )


def _text(value: object) -> str:
    """Return a claim as text that Postgres can hold."""
    return value.replace("\0", "").encode(errors="replace").decode() if isinstance(value, str) else ""


def _whole(value: object) -> str | None:
    """Return an address whole or not at all: half of one is none."""
    text = _text(value)
    return text if 0 < len(text) <= MAX_FIELD else None
