"""Let a cluster's data go only where its programs can follow: to any patch release, or one minor version up.

https://kubernetes.io/releases/version-skew-policy/ and https://etcd.io/docs/v3.6/upgrades/ promise no more.
"""

from __future__ import annotations

import json

from deployer.cluster.embedded.files import write_private
from deployer.cluster.embedded.layout import Layout
from deployer.errors import DeployError
from deployer.versions import load_versions

_PARTS = {"kubernetes": "Kubernetes", "etcd": "etcd"}


def check_release(layout: Layout) -> None:
    """Refuse, before anything is built or ended, programs that cannot read what the cluster has stored.

    Args:
        layout: the cluster.

    Raises:
        DeployError: a minor version would go back, or be left out.
    """
    ours, known = _wanted(), _stored(layout)
    for part, name in _PARTS.items():
        if part not in known:
            continue
        there, here = _minor(known[part]), _minor(ours[part])
        if there <= here <= (there[0], there[1] + 1):
            continue
        rule = "goes back" if here < there else "is left out"
        instead = ".".join(map(str, there if here < there else (there[0], there[1] + 1)))
        raise DeployError(
            f"The data of the cluster {layout.name} is of {name} {known[part]}, and this checkout has {ours[part]}: "
            f"no minor version {rule}. Nothing was changed.",
            advice=f"Run `up` from a commit with {name} {instead}"
            f"{'' if here < there else ' first'}, or begin without the data: `./stampchat cluster down --purge`.",
        )


def note_release(layout: Layout) -> None:
    """Note whose data it is from now on, before a program of this release opens it.

    Args:
        layout: the cluster.
    """
    write_private(layout.release, json.dumps(_wanted()) + "\n")


def _wanted() -> dict[str, str]:
    versions = load_versions()["cluster"]
    return {part: str(versions[part]) for part in _PARTS}


def _stored(layout: Layout) -> dict[str, str]:
    """Return what was noted; nothing for data that is older than this note, or beside a note that cannot be read."""
    try:
        noted = json.loads(layout.release.read_text(encoding="utf-8"))
        return {part: str(noted[part]) for part in _PARTS if _minor(str(noted[part]))}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _minor(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)
