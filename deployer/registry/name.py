"""Read where images go: a registry's address and a path in it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import UsageError

# https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = re.compile(r"(?:[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_EXAMPLE = "such as registry.your-company.net/stampchat"
_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")


@dataclass(frozen=True)
class RegistryName:
    """Name a registry and the path under which images are kept.

    Attributes:
        host: with its port, as images' references have it.
        path: what stands between the host and an image's own name, or nothing.
        plain: whether it is asked by http.
        address: the host and port that answer, where its name does not lead there.
        authority: the file of the authority that its certificate is of, where it is one of its own.
    """

    host: str
    path: str
    plain: bool = False
    address: str = ""
    authority: Path | None = None

    @property
    def prefix(self) -> str:
        """What references begin with."""
        return f"{self.host}/{self.path}" if self.path else self.host

    @property
    def base(self) -> str:
        """The address that answers; Docker Hub's is another than its name."""
        host = "registry-1.docker.io" if self.host == _DOCKER_HUB[0] else self.address or self.host
        return f"{'http' if self.plain else 'https'}://{host}"

    @property
    def credentials_key(self) -> str:
        """The name under which Docker's configuration keeps its credentials."""
        return "https://index.docker.io/v1/" if self.host == _DOCKER_HUB[0] else self.host


def parse_registry(text: str, *, insecure: bool = False) -> RegistryName:
    """Read a registry's name.

    Args:
        text: as people write it, "registry.example/team".
        insecure: whether it is asked by http although it is not on this machine.

    Raises:
        UsageError: no registry can have that name.
    """
    host, _, path = text.strip().removeprefix("oci://").removesuffix("/").partition("/")
    if "://" in text.removeprefix("oci://"):
        raise UsageError(f"{text!r} is an address, and a registry's name has no scheme.", advice=f"Name it {_EXAMPLE}.")
    if not _HOST.fullmatch(host) or not (":" in host or "." in host or host == "localhost"):
        raise UsageError(f"{text!r} does not begin with a registry's host.", advice=f"Name it {_EXAMPLE}.")
    wrong = [part for part in path.split("/") if path and not _COMPONENT.fullmatch(part)]
    if wrong:
        lower = text.lower()
        advice = f"Did you mean {lower}?" if path.lower() != path else f"Name it {_EXAMPLE}."
        raise UsageError(
            f"{wrong[0]!r} cannot be part of an image's name: lower-case letters and digits, with . _ - between them.",
            advice=advice,
        )
    host = _DOCKER_HUB[0] if host.lower() in _DOCKER_HUB else host.lower()
    return RegistryName(host, path, plain=insecure or is_loopback(host))


def check_tag(tag: str) -> str:
    """Return a tag that a registry takes.

    Raises:
        UsageError: it takes none such.
    """
    if not _TAG.fullmatch(tag):
        raise UsageError(
            f"{tag!r} is no tag: letters, digits and . _ -, 128 at most, the first no . or -.",
            advice="Leave --tag away for a tag that says what is in the image.",
        )
    return tag


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, where nobody listens on the way."""
    name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
    name = name.strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
