"""Write the cluster's Secrets as examples, in the original's shape, for those who apply by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import UsageError

_URL = "printf %s 'postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full' | base64 -w0"
_RANDOM = "openssl rand -hex 32 | tr -d '\\n' | base64 -w0"

# As the services demand it.
LEAST_CHARACTERS = 32


@dataclass(frozen=True)
class Example:
    """Be one Secret.

    Attributes:
        file: its file's name, the original's where it had one.
        name: the Secret's name.
        data: for each key the command that makes its value.
    """

    file: str
    name: str
    data: Mapping[str, str]


EXAMPLES = (
    Example("auth_stamp_chat_secret.yaml", "auth-stamp-chat-secret", {"database_url": _URL, "private_key": _RANDOM}),
    Example(
        "channels_stamp_chat_secret.yaml",
        "channels-stamp-chat-secret",
        {"database_url": _URL, "secret_key_base": _RANDOM},
    ),
    Example("notifications_stamp_chat_secret.yaml", "notifications-stamp-chat-secret", {"database_url": _URL}),
    Example(
        "firebase_secret.yaml", "firebase-secret", {"firebase_service_account": "base64 -w0 your_service_account.json"}
    ),
    Example("internal_credential.yaml", "internal-credential", {"credential": _RANDOM}),
)


def export_examples(folder: Path, *, namespace: str) -> list[Path]:
    """Write one file a Secret, with a placeholder and the command that makes the value for each key.

    Args:
        folder: where to; made when absent.
        namespace: of the Secrets.

    Raises:
        UsageError: a file of that name is there already, and may hold somebody's secrets.
    """
    paths = [folder / example.file for example in EXAMPLES]
    taken = [path for path in paths if path.exists()]
    if taken:
        raise UsageError(
            f"{taken[0]} is there already; it may hold your secrets, and is not written over.",
            advice="Name another folder, or move it away.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for path, example in zip(paths, EXAMPLES, strict=True):
        path.write_text(_render(example, namespace), encoding="utf-8")
    return paths


def public_key_file(private_key: str) -> tuple[str, str]:
    """Return the name and the content of the file by which services verify what a private key signs.

    Args:
        private_key: the secret of that name, as the Secret holds it.

    Raises:
        UsageError: it is too short to be one.
    """
    from infra.config import public_key

    text = private_key.strip()
    if len(text) < LEAST_CHARACTERS:
        raise UsageError(f"A private_key has at least {LEAST_CHARACTERS} characters.", advice=f"Make one: `{_RANDOM}`.")
    kid, pem = public_key(text)
    return f"{kid}.pem", pem


def _render(example: Example, namespace: str) -> str:
    # `echo`, as one finds it in many guides, would add a line break to the secret.
    lines = [f"  # {command}\n  {key}: <BASE64 OF {key.upper()}>\n" for key, command in example.data.items()]
    head = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {example.name}\n  namespace: {namespace}\n"
    return f"{head}type: Opaque\ndata:\n{''.join(lines)}"
