"""Build the key that joins the three services."""

from __future__ import annotations

import re

# JavaScript's \W is ASCII's complement, Python's is not: "é" must go.
_OUTSIDE_WORDS = re.compile(r"[^a-z0-9_]")
# The column of the chat service is varchar(255). A longer key never reached it, so cutting one changes nobody's.
MAX_LENGTH = 255


def build_identity(name: str | None, uid: str) -> str:
    """Return the identity of a user: it is a function of the row, and neither name nor uid of a row ever changes.

    Args:
        name: as the provider gave it at the first login.
        uid: the provider's id; it stays whole, since it alone makes the identity unique.
    """
    word = _OUTSIDE_WORDS.sub("", (name or "").lower())
    room = max(0, MAX_LENGTH - 1 - len(uid))
    return f"{word[:room]}_{uid}"
