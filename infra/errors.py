"""Say what is wrong with a stack, all of it at once.

InfraError
└── ConfigError: the stack's config cannot be deployed
"""

from __future__ import annotations

from collections.abc import Sequence


class InfraError(Exception):
    """Stand above everything that a program of ours refuses."""


class ConfigError(InfraError):
    """Report every problem of a stack's config, each with its key's path.

    Args:
        problems: one sentence a problem, the key's path first; no secret value is in any of them.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        count = "one problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join([f"The stack's config has {count}:", *(f"  {problem}" for problem in self.problems)])
