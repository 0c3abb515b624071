"""Know who may vouch for a person, and what each says about them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.errors import Invalid

# The columns are varchar(255).
MAX_FIELD = 255


@dataclass(frozen=True)
class Profile:
    """Hold what a provider says about a person.

    Attributes:
        uid: the provider's id, unique among all providers.
        name: what they are called, if the provider knows.
        email: as the provider has it.
        picture: an address.
    """

    uid: str
    name: str | None = None
    email: str | None = None
    picture: str | None = None


# Takes the token of a login; raises LoginRefused.
Provider = Callable[[str], Awaitable[Profile]]


async def dev_profile(token: str) -> Profile:
    """Take a display name at its word: for development, where nobody has to prove anything.

    Raises:
        Invalid: the name is blank or too long.
    """
    name = unicodedata.normalize("NFC", token)
    if not name.strip() or len(name) > MAX_FIELD:
        raise Invalid(f"A display name has 1 to {MAX_FIELD} characters.", code="bad_name")
    return Profile(uid="dev-" + hashlib.sha256(name.encode()).hexdigest()[:12], name=name)
