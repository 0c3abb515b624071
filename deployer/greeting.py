"""Say where a deployment answers and how to log in, in the same words wherever it runs."""

from __future__ import annotations


def login_lines(url: str) -> tuple[str, ...]:
    """Return the lines that show a URL and the login that needs nothing but a name.

    Args:
        url: the gateway's, without a slash at its end.
    """
    return (
        f"  URL       {url}        opens in a browser: any name will do, and a second window is a second person",
        f"  Log in    curl -s {url}/auth/login -H 'Content-Type: application/json' \\",
        """                 -d '{"authProvider": "dev", "token": "Ada"}'""",
        "            the answer's token goes into `Authorization: Bearer …`",
    )
