"""Let this process have as many files open as the machine allows: every socket is one."""

from __future__ import annotations

import logging
import resource

# Log, database connections, listening sockets and what Python itself opens, with room to spare.
RESERVED = 200

logger = logging.getLogger(__name__)


def raise_file_limit(sockets: int) -> int:
    """Raise the soft limit to the hard one, and warn when that is too little.

    The soft limit of 1024 that many systems begin with is there for programs that use select(); we do not.

    Args:
        sockets: how many connections the settings allow.

    Returns:
        How many files may be open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < sockets + RESERVED:
        fields = {"allowed": hard, "connections": sockets, "needed": sockets + RESERVED}
        logger.warning("fewer files may be open than the settings allow connections", extra={"fields": fields})
    return hard
