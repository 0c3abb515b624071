"""What fetching can fail with, besides a program of ours failing.

DeployError
└── DownloadError: a file could not be had from its publisher, or is not what the publisher says
"""

from __future__ import annotations

from deployer.errors import DeployError


class DownloadError(DeployError):
    """Report a download that failed, in a few words that fit into a list of what was tried.

    Args:
        url: what was asked for.
        reason: why it failed ("no answer within 3 s").
        reachable: False when the publisher could not be reached at all, so that trying again soon is in vain.
    """

    def __init__(self, url: str, reason: str, *, reachable: bool = True) -> None:
        super().__init__(f"{url}: {reason}.")
        self.url = url
        self.reason = reason
        self.reachable = reachable
