"""Say where a deployment answers and how to log in, in the same words wherever it runs."""

from __future__ import annotations


def login_lines(url: str) -> tuple[str, ...]:
    """Return the lines that show a URL and the login that needs nothing but a name.

    Args:
        url: the gateway's, without a slash at its end.
    """
    return (
        f"  URL       {url}",
        f"  Log in    curl -s {url}/auth/login -H 'Content-Type: application/json' \\",
        """                 -d '{"authProvider": "dev", "token": "Ada"}'""",
        "            any name will do; the answer's token goes into `Authorization: Bearer …`",
    )
