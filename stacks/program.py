"""Choose the program by the stack's place."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra.errors import InfraError
from stacks import dev, prod
from stacks.config import load_config


def deploy(root: Path) -> None:
    """Deploy the stack whose config the engine hands over.

    Args:
        root: the checkout, where relative paths of the config are sought.

    Raises:
        pulumi.RunError: the config, or what it names, cannot be deployed.
    """
    config = load_config(root)
    try:
        if config.hosted is None:
            dev.deploy(config, root)
        else:
            prod.deploy(config, config.hosted, root)
    except InfraError as error:
        raise pulumi.RunError(str(error)) from None
