"""Say to the API server who we are: a token, a file that is renewed, a password, or a program that makes tokens."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from deployer.plugins.kubernetes.errors import ClusterUnreachableError

_TOKEN_FILE_LIFE = 60.0  # a projected token is renewed long before it ends
_EXEC_MARGIN = 30.0
_EXEC_TIMEOUT = 60


@dataclass
class Credentials:
    """Give the headers of a request; this kind gives none or a fixed one.

    Attributes:
        header: the Authorization header, empty for none.
        certificate: a client certificate that came with it, PEM.
        key: the certificate's key.
    """

    header: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)

    def headers(self) -> dict[str, str]:
        """Return what a request must carry now."""
        return {"Authorization": self.header} if self.header else {}

    def refused(self) -> bool:
        """Take note that the server refused them, and say whether to try again with new ones."""
        return False


class TokenFile(Credentials):
    """Read a token from a file that somebody else renews."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._read_at = -_TOKEN_FILE_LIFE

    def headers(self) -> dict[str, str]:
        """Return the token as it is in the file, read again once a minute."""
        if time.monotonic() - self._read_at > _TOKEN_FILE_LIFE:
            try:
                self.header = f"Bearer {self._path.read_text(encoding='utf-8').strip()}"
            except OSError as error:
                raise ClusterUnreachableError(f"the token file {self._path} cannot be read ({error}).") from error
            self._read_at = time.monotonic()
        return super().headers()


class ExecPlugin(Credentials):
    """Ask the program that the kubeconfig names (gke-gcloud-auth-plugin, aws, kubelogin) for a token.

    Args:
        spec: the user's `exec` entry.
        server: the cluster's address, for the programs that want to know it.
    """

    def __init__(self, spec: Mapping[str, Any], server: str) -> None:
        super().__init__()
        self._spec = spec
        self._server = server
        self._lock = threading.Lock()
        self._until = 0.0
        self._run()

    def headers(self) -> dict[str, str]:
        """Return the token, a new one if the last has ended."""
        with self._lock:
            if time.time() > self._until - _EXEC_MARGIN:
                self._run()
        return super().headers()

    def refused(self) -> bool:
        """Drop the token: the server knows better when it ended."""
        self._until = 0.0
        return True

    def _run(self) -> None:
        command = [str(self._spec.get("command")), *map(str, self._spec.get("args") or [])]
        extra = {str(item["name"]): str(item["value"]) for item in self._spec.get("env") or []}
        info = {
            "apiVersion": self._spec.get("apiVersion", "client.authentication.k8s.io/v1"),
            "kind": "ExecCredential",
            "spec": {"interactive": False, "cluster": {"server": self._server}},
        }
        environment = os.environ | extra | {"KUBERNETES_EXEC_INFO": json.dumps(info)}
        try:
            done = subprocess.run(
                command,
                env=environment,
                capture_output=True,
                check=True,
                timeout=_EXEC_TIMEOUT,
                stdin=subprocess.DEVNULL,
            )
            status = json.loads(done.stdout)["status"]
        except FileNotFoundError as error:
            hint = str(self._spec.get("installHint") or "")
            raise ClusterUnreachableError(f"the kubeconfig wants {command[0]!r}, which is not here. {hint}") from error
        except (subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
            said = getattr(error, "stderr", b"") or b""
            raise ClusterUnreachableError(
                f"{command[0]!r} gave no credentials: {said.decode(errors='replace').strip() or type(error).__name__}"
            ) from error
        self.header = f"Bearer {status['token']}" if status.get("token") else ""
        self.certificate = str(status.get("clientCertificateData") or "").encode()
        self.key = str(status.get("clientKeyData") or "").encode()
        self._until = _end(status.get("expirationTimestamp"))


def make_credentials(user: Mapping[str, Any], *, folder: Path, server: str) -> Credentials:
    """Choose by what the kubeconfig's user has.

    Args:
        user: the entry under `user`.
        folder: where its relative paths start.
        server: the cluster's address.
    """
    if user.get("exec"):
        return ExecPlugin(user["exec"], server)
    if user.get("token"):
        return Credentials(header=f"Bearer {user['token']}")
    if user.get("tokenFile"):
        return TokenFile(folder / str(user["tokenFile"]))
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}"
        return Credentials(header=f"Basic {base64.b64encode(pair.encode()).decode()}")
    return Credentials()


def _end(timestamp: Any) -> float:
    if not isinstance(timestamp, str):
        return float("inf")
    return datetime.fromisoformat(timestamp).timestamp()
