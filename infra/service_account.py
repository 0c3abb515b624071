"""Judge a Firebase service account's file, field by field, without ever quoting it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

# What Google's console writes today; shorter RSA keys are refused by FCM.
LEAST_KEY_BITS = 2048

_EMAIL = re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+\.iam\.gserviceaccount\.com|[^@\s]+@developer\.gserviceaccount\.com")
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
_FIELDS = ("project_id", "private_key_id", "private_key", "client_email", "client_id", "token_uri")

# Other JSON that the same console hands out, each told by its own keys.
_OTHER_FILES = (
    ({"apiKey", "authDomain"}, "is the web app's config (apiKey, authDomain)"),
    ({"project_info", "client"}, "is google-services.json, the Android app's config"),
    ({"installed"}, "is an OAuth client's file"),
    ({"web"}, "is an OAuth client's file"),
    ({"refresh_token", "client_secret"}, "is a person's own credentials, from `gcloud auth`"),
)
WHERE = "Firebase console, Project settings, Service accounts, Generate new private key"


def service_account_problems(text: str, project_id: str = "") -> list[str]:
    """List what is wrong with the content of a service account's file; nothing when it can be used.

    Args:
        text: the file's content.
        project_id: the project that it has to belong to, where that is known.
    """
    try:
        account = json.loads(text)
    except ValueError as error:
        return [_not_json(text, error)]
    if not isinstance(account, dict):
        return [f"is JSON, but not an object; give the file from: {WHERE}"]
    other = _other_file(account)
    if other:
        return [f"{other}, not a service account's; get that from: {WHERE}"]
    problems = [f"has no {name}" for name in _FIELDS if not isinstance(account.get(name), str) or not account[name]]
    problems += [problem for problem in _field_problems(account, project_id) if problem]
    return problems


def service_account_project(text: str) -> str:
    """Return the project that a file belongs to, or nothing."""
    try:
        account = json.loads(text)
    except ValueError:
        return ""
    return str(account.get("project_id") or "") if isinstance(account, dict) else ""


def _not_json(text: str, error: ValueError) -> str:
    stripped = text.strip()
    if not stripped:
        return f"is empty; give the file from: {WHERE}"
    if stripped.startswith("-----BEGIN"):
        return f"is a key alone; give the whole JSON file from: {WHERE}"
    if stripped.startswith("{"):
        line = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        return f"is JSON that breaks off or is damaged{line}; download the file again"
    if _is_encoded(stripped):
        return "is base64 already; give the JSON file itself, it is encoded here"
    return f"is not JSON; give the file from: {WHERE}"


def _is_encoded(text: str) -> bool:
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True)
        return decoded.lstrip().startswith(b"{")
    except (binascii.Error, ValueError):
        return False


def _other_file(account: Mapping[str, object]) -> str:
    for keys, what in _OTHER_FILES:
        if keys <= account.keys():
            return what
    if account.get("type") != "service_account":
        return f"has the type {account.get('type')!r}" if "type" in account else "has no type"
    return ""


def _field_problems(account: Mapping[str, object], project_id: str) -> list[str]:
    def text(name: str) -> str:
        value = account.get(name)
        return value if isinstance(value, str) else ""

    own, email, uri = text("project_id"), text("client_email"), text("token_uri")
    parts = urlsplit(uri)
    return [
        f"has a project_id that is none: {own!r}" if own and not _PROJECT.fullmatch(own) else "",
        f"belongs to the project {own!r}, not to {project_id!r}" if own and project_id not in ("", own) else "",
        "has a client_email that is no service account's" if email and not _EMAIL.fullmatch(email) else "",
        "has a token_uri that is no https address" if uri and (parts.scheme != "https" or not parts.hostname) else "",
        _key_problem(text("private_key")),
    ]


def _key_problem(pem: str) -> str:
    if not pem:
        return ""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if "\\n" in pem and "\n" not in pem:
        return "has a private_key whose line breaks were escaped twice; download the file again"
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        return "has a private_key that is no PEM key, or a damaged one; download the file again"
    if not isinstance(key, RSAPrivateKey) or key.key_size < LEAST_KEY_BITS:
        return f"has a private_key that is not RSA of at least {LEAST_KEY_BITS} bits"
    return ""
