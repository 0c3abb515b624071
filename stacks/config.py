"""Read the config that the engine hands over."""

from __future__ import annotations

import pulumi
from pulumi.runtime.config import CONFIG

from infra.config import ConfigError, StackConfig, validate_stack


def load_config() -> StackConfig:
    """Return the stack's config, whole and checked.

    Raises:
        pulumi.RunError: with every problem; the engine shows it without a traceback.
    """
    try:
        # pulumi.Config reads one key at a time, and a misspelt key is one that nobody reads.
        return validate_stack(CONFIG.get())
    except ConfigError as error:
        raise pulumi.RunError(str(error)) from None
