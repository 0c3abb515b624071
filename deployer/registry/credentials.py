"""Find a registry's credentials where Docker keeps them.

https://docs.docker.com/reference/cli/docker/login/#credential-stores has the file and what a helper is asked.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.errors import DeployError

# What a helper gives as the user's name beside a token that only buys others.
_TOKEN_USER = "<token>"  # noqa: S105  # a name
_HELPER_SECONDS = 60


@dataclass(frozen=True)
class Credentials:
    """Hold what a registry is shown.

    Attributes:
        username: the user, or nothing.
        password: its password, or nothing.
        identity_token: a token that buys others, in place of both.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""

    def __bool__(self) -> bool:
        return bool(self.username or self.identity_token)

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, **********)"

    @property
    def basic(self) -> str:
        """The header of HTTP's basic scheme."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def find_credentials(key: str, environ: Mapping[str, str] | None = None) -> Credentials:
    """Return the credentials that Docker's configuration has for a registry, or empty ones.

    Args:
        key: the registry, as the configuration names it.
        environ: the environment to read; DOCKER_CONFIG moves the folder.

    Raises:
        DeployError: the configuration, or the helper that it names, cannot be read.
    """
    env = os.environ if environ is None else environ
    folder = Path(env.get("DOCKER_CONFIG") or Path(env.get("HOME") or Path.home()) / ".docker")
    config = _load(folder / "config.json")
    helper = _mapping(config, "credHelpers").get(key) or config.get("credsStore")
    if helper and (found := _ask(str(helper), key, env)):
        return found
    auths = _mapping(config, "auths")
    entry = next((auths[name] for name in (key, f"https://{key}", f"https://{key}/v2/") if name in auths), None)
    return _decode(entry, folder / "config.json") if isinstance(entry, dict) else Credentials()


def _load(path: Path) -> dict[str, Any]:
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    return loaded if isinstance(loaded, dict) else {}


def _mapping(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = config.get(name)
    return found if isinstance(found, dict) else {}


def _decode(entry: Mapping[str, Any], path: Path) -> Credentials:
    if token := entry.get("identitytoken"):
        return Credentials(identity_token=str(token))
    if entry.get("username"):
        return Credentials(str(entry["username"]), str(entry.get("password", "")))
    try:
        username, _, password = base64.b64decode(str(entry.get("auth", "")), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        # Without the cause: it carries what was read.
        raise _unreadable(path) from None
    return Credentials(username, password)


def _ask(helper: str, key: str, environ: Mapping[str, str]) -> Credentials:
    command = [f"docker-credential-{helper}", "get"]
    try:
        done = subprocess.run(
            command, input=key, capture_output=True, text=True, check=False, env=dict(environ), timeout=_HELPER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = "is not there" if isinstance(error, FileNotFoundError) else "cannot be run, or does not answer"
        raise DeployError(
            f"`{' '.join(command)}`, which Docker's configuration names for {key}, {reason}.",
            advice="Install it, or give --username and --password-stdin.",
        ) from error
    if done.returncode:
        if "not found" in (done.stdout + done.stderr).lower():
            return Credentials()
        raise DeployError(
            f"`{' '.join(command)}` failed for {key}.",
            said=(done.stderr or done.stdout)[-400:],
            advice="Log in again with the tool that it belongs to, or give --username and --password-stdin.",
        )
    try:
        said = json.loads(done.stdout)
        username, secret = str(said["Username"]), str(said["Secret"])
    except (ValueError, KeyError, TypeError):
        raise DeployError(
            f"`{' '.join(command)}` answered for {key} with something else than credentials.",
            advice="Give --username and --password-stdin instead.",
        ) from None
    return Credentials(identity_token=secret) if username == _TOKEN_USER else Credentials(username, secret)


def _unreadable(path: Path) -> DeployError:
    return DeployError(
        f"{path} cannot be read as Docker's configuration.",
        advice="Mend it, or log in again: `docker login` writes it. --username and --password-stdin do without it.",
    )
