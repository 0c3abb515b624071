"""Find out where the cluster of stack dev is to be, by means that a bare machine has."""

from __future__ import annotations

import re

from deployer.cluster.instance import stored_instance
from deployer.cluster.model import Ground
from deployer.workspace import Workspace

_MADE: tuple[Ground, ...] = ("embedded", "kind", "k3d")
# No YAML parser may be here yet; the engine's config is flat, a line a key. A comment does not begin so.
_SAID = re.compile(r"""^\s+["']?stampchat:(cluster|context)["']?:\s*["']?([^\s"'#]+)""", re.MULTILINE)


def find_ground(workspace: Workspace) -> Ground:
    """Say what makes the cluster that `up` would use, as `deployer.ground` chooses it where no option is given.

    Args:
        workspace: the checkout.
    """
    try:
        said = dict(_SAID.findall((workspace.root / "Pulumi.dev.yaml").read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        said = {}
    for ground in _MADE:
        if said.get("cluster") == ground:
            return ground
    if "context" in said:
        return "context"
    known = stored_instance(workspace)
    return known.ground if known else "embedded"
