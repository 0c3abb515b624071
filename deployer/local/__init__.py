"""The three services on this machine, without a cluster, without root, without Docker: for working on them.

`run` starts one Postgres, auth, chat, notifications and Traefik, and keeps them until Ctrl-C; `find_running` and
`local_url` say where they answer; `leftovers` are the folders outside the checkout's own.
"""

from __future__ import annotations

from deployer.local.claim import Running, find_running, local_url
from deployer.local.layout import forget_system_folder, leftovers
from deployer.local.options import LocalOptions
from deployer.local.run import run

__all__ = ["LocalOptions", "Running", "find_running", "forget_system_folder", "leftovers", "local_url", "run"]
