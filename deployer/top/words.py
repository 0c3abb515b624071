"""Show words of others as they are written, and never as orders to a terminal."""

from __future__ import annotations

MOST = 300


def plain(text: str) -> str:
    """Put a text on one line, of signs that a terminal shows, and cut it where nobody reads on.

    Args:
        text: what somebody says who may be anybody.
    """
    shown = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return shown if len(shown) <= MOST else f"{shown[: MOST - 1]}…"
