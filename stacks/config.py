"""Read the config that the engine hands over."""

from __future__ import annotations

from pathlib import Path

import pulumi
from pulumi.runtime.config import CONFIG

from infra.config import ConfigError, StackConfig, inspect_stack
from infra.images import image_problems


def load_config(root: Path) -> StackConfig:
    """Return the stack's config, whole and checked.

    Args:
        root: the checkout, where the file of images is sought.

    Raises:
        pulumi.RunError: with every problem; the engine shows it without a traceback.
    """
    # pulumi.Config reads one key at a time, and a misspelt key is one that nobody reads.
    config, problems = inspect_stack(CONFIG.get())
    problems += image_problems(config, root)
    if problems:
        raise pulumi.RunError(str(ConfigError(problems)))
    return config
