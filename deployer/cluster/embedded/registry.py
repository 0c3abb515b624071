"""Run a registry in the box, where one is wanted: Debian's docker-registry, which takes seconds and no compiler."""

from __future__ import annotations

import base64
import json
import secrets
from pathlib import Path

import bcrypt

from deployer.cluster.embedded.builds import key_of
from deployer.cluster.embedded.files import write_private
from deployer.cluster.embedded.layout import STATE, Layout
from deployer.cluster.model import REGISTRY_NAME, Registry
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.debian import fetch_packages, unpack
from deployer.report import Report
from deployer.versions import load_versions
from deployer.workspace import Workspace

USER = "stampchat"
_PKI = f"{STATE}/pki"
_DATA = f"{STATE}/registry"
# The password is as long as a key, so nobody guesses it, and each request is checked anew: the cheapest hash will do.
_ROUNDS = 4


def ensure_registry(workspace: Workspace, report: Report) -> str:
    """Fetch the registry when the cache lacks it, and return its program as a path in the programs' folder.

    Args:
        workspace: whose cache.
        report: where progress goes.

    Raises:
        DeployError: apt is missing, or does not reach its sources.
    """
    packages = fetch_packages(load_versions()["cluster"]["registry"], cache=workspace.cache, report=report)
    unpacked = workspace.cache / "cluster" / f"registry-{key_of(*[deb.name.encode() for deb in packages])}"
    with exclusive(unpacked):
        if not unpacked.exists():
            with staging(unpacked) as fresh:
                unpack(packages, fresh)
                replace_folder(fresh, unpacked)
    return f"{unpacked.name}/usr/bin/docker-registry"


def write_registry(layout: Layout) -> None:
    """Write what the registry and containerd read of each other; without a registry take it away.

    What it holds, and the password, stay.

    Args:
        layout: the cluster.
    """
    host = layout.config / "certs.d" / REGISTRY_NAME / "hosts.toml"
    if not layout.instance.registry:
        host.unlink(missing_ok=True)
        return
    password = _keep_password(layout)
    write_private(layout.config / "registry.json", json.dumps(_config(layout), indent=1))
    write_private(host, _host(layout, password))


def find_registry(layout: Layout) -> Registry:
    """Say how to reach a registry that was written.

    Args:
        layout: its cluster.
    """
    return Registry(
        name=REGISTRY_NAME,
        address=layout.registry,
        authority=layout.pki / "ca.crt",
        username=USER,
        password_file=_password_file(layout),
    )


def _password_file(layout: Layout) -> Path:
    return layout.home / "registry" / "password"


def _keep_password(layout: Layout) -> str:
    """Return the password, made once, and have its hash beside it."""
    file, hashes = _password_file(layout), layout.home / "registry" / "htpasswd"
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32))
        hashes.unlink(missing_ok=True)
    password = file.read_text(encoding="utf-8")
    if not hashes.exists():
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_ROUNDS)).decode()
        write_private(hashes, f"{USER}:{hashed}\n")
    return password


def _config(layout: Layout) -> dict[str, object]:
    """Build its configuration (https://distribution.github.io/distribution/about/configuration/)."""
    return {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": f"{_DATA}/data"}, "delete": {"enabled": True}},
        "auth": {"htpasswd": {"realm": layout.name, "path": f"{_DATA}/htpasswd"}},
        "http": {
            "addr": layout.registry,
            "tls": {"certificate": f"{_PKI}/registry.crt", "key": f"{_PKI}/registry.key", "minimumtls": "tls1.2"},
        },
    }


def _host(layout: Layout, password: str) -> str:
    """Tell containerd where the name leads and what to show there (its docs/hosts.md); each pull reads it anew."""
    shown = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return f"""\
server = "https://{layout.registry}"
capabilities = ["pull", "resolve"]
ca = "{_PKI}/ca.crt"

[header]
authorization = "Basic {shown}"

# No other host has it. Without this table containerd 1.6 reads nothing of the above.
[host]
"""
